import { StoredJourney } from '#gen/recur/journey/v1/journey.ts';
import type { Definition } from '#gen/recur/log/v1/changes.ts';

/** How large an arm of an experiment should be. */
export interface PlannedShare {
  readonly experimentId: string;
  readonly variant: string;
  /** 0 to 1. */
  readonly share: number;
  readonly revision: number;
}

/** The arms a journey's newest version plans: its splits and its hold-out. Other definitions plan none. */
export function plannedShares({ kind, id, revision, deleted, body }: Definition): PlannedShare[] {
  if (kind !== 'journey' || deleted) return [];
  const definition = StoredJourney.decode(body).versions.at(-1)?.definition;
  if (!definition) return [];
  const planned: PlannedShare[] = [];
  for (const node of definition.nodes) {
    if (node.kind?.$case !== 'split') continue;
    const { experimentId, variants } = node.kind.value;
    const all = variants.reduce((sum, v) => sum + v.weight, 0);
    if (!(all > 0)) continue;
    for (const v of variants)
      planned.push({
        experimentId: experimentId || `${id}.${node.id}`,
        variant: v.id,
        share: v.weight / all,
        revision,
      });
  }
  const out = definition.holdOutPercent / 100;
  if (out > 0) {
    const experimentId = `${id}.hold_out`;
    planned.push(
      { experimentId, variant: 'treated', share: 1 - out, revision },
      { experimentId, variant: 'hold_out', share: out, revision },
    );
  }
  return planned;
}
