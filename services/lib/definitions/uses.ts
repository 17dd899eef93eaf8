import { JourneyStatus, StoredJourney } from '#gen/recur/journey/v1/journey.ts';
import { Tag } from '#gen/recur/profile/v1/tag.ts';
import { Segment } from '#gen/recur/segmentation/v1/segment.ts';
import type { ActiveDefinition } from '#lib/stream/processor.ts';
import type { DefinitionSource } from './watch.ts';

/** Kinds whose definitions refer to others, and how they are read. */
const READ: Readonly<Record<string, (body: Uint8Array) => unknown>> = {
  segment: (body) => Segment.decode(body).rule,
  tag: (body) => Tag.decode(body).levels,
  journey: (body) => versionsOf(StoredJourney.decode(body)),
};

export const KINDS_THAT_REFER: readonly string[] = Object.keys(READ);

/** Fields that name another definition, wherever they stand: of which kind. */
const NAMES: Readonly<Record<string, string>> = {
  segment: 'segment',
  inSegment: 'segment',
  notInSegment: 'segment',
  segmentEntered: 'segment',
  segmentExited: 'segment',
  templateId: 'template',
  computedTrait: 'computed_trait',
  countedBy: 'computed_trait',
  summedBy: 'computed_trait',
  tag: 'tag',
  list: 'customer_list',
};

/** Who refers to what among the definitions in force, so that nothing is deleted that others need. */
export class Uses {
  readonly #references = new Map<string, ReadonlySet<string>>();
  readonly #revisions = new Map<string, number>();

  #source: DefinitionSource | undefined;

  /** Resolves when what is there is known. */
  follow(source: DefinitionSource): Promise<void> {
    this.#source = source;
    return source.start((definition) => this.apply(definition));
  }

  /** Nest's hook: where this is a provider, it ends with its module. */
  onModuleDestroy(): void {
    this.#source?.stop();
  }

  /** Also told of the process's own writes, before the watch tells. An older revision than known is nothing new. */
  apply({ kind, id, revision, deleted, body }: ActiveDefinition): void {
    const read = READ[kind];
    const user = keyOf(kind, id);
    if (read === undefined || revision < (this.#revisions.get(user) ?? 0)) return;
    this.#revisions.set(user, revision);
    if (deleted) this.#references.delete(user);
    else this.#references.set(user, new Set(referencesIn(read(body))));
  }

  /** Those that refer to it, other than itself, as people call them: `computed trait "spend"`. */
  of(kind: string, id: string): string[] {
    const used = keyOf(kind, id);
    const users: string[] = [];
    for (const [user, references] of this.#references) if (user !== used && references.has(used)) users.push(user);
    return users.sort().map((user) => {
      const [userKind = '', userId = ''] = user.split('/');
      return `${userKind.replaceAll('_', ' ')} "${userId}"`;
    });
  }
}

const keyOf = (kind: string, id: string): string => `${kind}/${id}`;

/** Versions somebody may be on or enter: of a journey that runs all, else the one it would start with. */
function versionsOf({ journey, versions }: StoredJourney): unknown {
  const { JOURNEY_STATUS_ACTIVE, JOURNEY_STATUS_PAUSED } = JourneyStatus;
  const runs = journey?.status === JOURNEY_STATUS_ACTIVE || journey?.status === JOURNEY_STATUS_PAUSED;
  return runs ? versions : versions.slice(-1);
}

function* referencesIn(value: unknown): Generator<string> {
  if (Array.isArray(value)) {
    for (const part of value) yield* referencesIn(part);
  } else if (typeof value === 'object' && value !== null && !ArrayBuffer.isView(value)) {
    const fields = '$case' in value && 'value' in value ? [[value.$case, value.value]] : Object.entries(value);
    for (const [name, field] of fields) {
      const kind = NAMES[String(name)];
      const id = typeof field === 'string' ? field : (field as { id?: unknown } | undefined)?.id;
      if (kind !== undefined && typeof id === 'string' && id !== '') yield keyOf(kind, id);
      yield* referencesIn(field);
    }
  }
}
