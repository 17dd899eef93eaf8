import { HoldOutSettings, LifecycleSettings, RfmSettings, Segment } from '#gen/recur/segmentation/v1/segment.ts';
import type { ShopZone } from '#lib/facts/facts.ts';
import { type Definitions, Plan } from './plan.ts';

/** Kinds of definitions segmentation owns; settings have one definition of their kind, with this id. */
export const KINDS = { segment: 'segment', rfm: 'rfm', lifecycle: 'lifecycle', holdOut: 'hold_out' } as const;
export const SETTINGS_ID = 'default';

/** As the kit hands them over. */
export interface ActiveDefinition {
  readonly kind: string;
  readonly id: string;
  readonly revision: number;
  readonly body: Uint8Array;
}

/** The definitions in force, compiled when first used: a burst of changes costs one compilation. */
export interface InForce {
  readonly plan: Plan;
}

/** Plans kept for other partitions that come to the same set of definitions a little later. */
const KEPT_PLANS = 8;

/** `StageSpec.definitions` of segmentation. */
export function planCompiler(zone: ShopZone): { compile(active: readonly ActiveDefinition[]): InForce } {
  const kept = new Map<string, Plan>();
  const compileOnce = (active: readonly ActiveDefinition[]): Plan => {
    const key = active
      .map(({ kind, id, revision }) => `${kind}/${id}@${revision}`)
      .sort()
      .join(' ');
    const known = kept.get(key);
    if (known !== undefined) return known;
    const plan = new Plan(decode(active), zone);
    kept.set(key, plan);
    for (const oldest of kept.keys()) {
      if (kept.size <= KEPT_PLANS) break;
      kept.delete(oldest);
    }
    return plan;
  };
  return {
    compile(active) {
      let plan: Plan | undefined;
      return {
        get plan() {
          plan ??= compileOnce(active);
          return plan;
        },
      };
    },
  };
}

function decode(active: readonly ActiveDefinition[]): Definitions {
  const segments: Segment[] = [];
  let rfm: RfmSettings | undefined;
  let lifecycle: LifecycleSettings | undefined;
  let holdOut: HoldOutSettings | undefined;
  for (const { kind, id, revision, body } of active) {
    if (kind === KINDS.segment) segments.push({ ...Segment.decode(body), id, revision });
    else if (kind === KINDS.rfm) rfm = { ...RfmSettings.decode(body), revision };
    else if (kind === KINDS.lifecycle) lifecycle = { ...LifecycleSettings.decode(body), revision };
    else if (kind === KINDS.holdOut) holdOut = { ...HoldOutSettings.decode(body), revision };
  }
  return { segments, rfm, lifecycle, holdOut };
}
