import type { NatsConnection } from '@nats-io/transport-node';
import { LifecycleSettings, RfmSettings, Segment } from '#gen/recur/segmentation/v1/segment.ts';
import { DefinitionStore } from '#lib/definitions/store.ts';
import { RpcError } from '#lib/rpc/errors.ts';
import { checkLifecycleSettings, checkRfmSettings, checkSegment, type Violation } from '../core/check.ts';
import { KINDS } from '../core/in-force.ts';
import { checkProfileReferences, checkReferences, segmentsIn } from '../core/references.ts';
import type { Catalogue } from './catalogue.ts';

export interface DefinitionStores {
  readonly segments: DefinitionStore<Segment>;
  readonly rfm: DefinitionStore<RfmSettings>;
  readonly lifecycle: DefinitionStore<LifecycleSettings>;
}

export async function openStores(
  nats: NatsConnection,
  replicas: number,
  catalogue: Catalogue,
): Promise<DefinitionStores> {
  const open = <T>(kind: string, message: Message<T>, validate: (definition: T, id: string) => Promise<Violation[]>) =>
    DefinitionStore.open({ nats, kind, message, replicas, validate });
  const segments: DefinitionStore<Segment> = await open(KINDS.segment, Segment, (segment, id) =>
    checkAll(segment, id, catalogue, segments),
  );
  const rfm = await open(KINDS.rfm, RfmSettings, async (settings) => checkRfmSettings(settings));
  const lifecycle = await open(KINDS.lifecycle, LifecycleSettings, async (settings) =>
    checkLifecycleSettings(settings),
  );
  return { segments, rfm, lifecycle };
}

interface Message<T> {
  encode(message: T): { finish(): Uint8Array };
  decode(bytes: Uint8Array): T;
}

/** By itself, then against the others. */
async function checkAll(
  segment: Segment,
  id: string,
  catalogue: Catalogue,
  store: DefinitionStore<Segment>,
): Promise<Violation[]> {
  const wrong = checkSegment(segment);
  const { rule } = segment;
  if (wrong.length > 0 || rule === undefined) return wrong;
  // Another replica may have made one that this one has not heard of yet.
  for (const other of segmentsIn(rule)) {
    if (other !== id && catalogue.segment(other) === undefined) await fetchInto(catalogue, store, other);
  }
  return [...checkReferences(id, rule, catalogue.rules()), ...checkProfileReferences(rule, catalogue.ofProfile)];
}

async function fetchInto(catalogue: Catalogue, store: DefinitionStore<Segment>, id: string): Promise<void> {
  try {
    const { definition, revision } = await store.get(id);
    catalogue.put({ ...definition, id, revision });
  } catch (error) {
    // Not there, or no possible id: the check of references says so with its place.
    if (!(error instanceof RpcError)) throw error;
  }
}
