import { status } from '@grpc/grpc-js';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Rule } from '#gen/recur/segmentation/v1/rule.ts';
import {
  CustomerList,
  HoldOutSettings,
  LifecycleSettings,
  RfmSettings,
  Segment,
} from '#gen/recur/segmentation/v1/segment.ts';
import { DefinitionStore } from '#lib/definitions/store.ts';
import { RpcError } from '#lib/rpc/errors.ts';
import {
  checkCustomerList,
  checkHoldOutSettings,
  checkLifecycleSettings,
  checkRfmSettings,
  checkSegment,
  type Violation,
} from '../core/check.ts';
import { KINDS } from '../core/in-force.ts';
import { LIST_KIND, listsIn } from '../core/lists.ts';
import { checkProfileReferences, checkReferences, listReferencesIn, segmentsIn } from '../core/references.ts';
import type { Catalogue } from './catalogue.ts';

export interface DefinitionStores {
  readonly segments: DefinitionStore<Segment>;
  readonly lists: DefinitionStore<CustomerList>;
  readonly rfm: DefinitionStore<RfmSettings>;
  readonly lifecycle: DefinitionStore<LifecycleSettings>;
  readonly holdOut: DefinitionStore<HoldOutSettings>;
}

export async function openStores(
  nats: NatsConnection,
  replicas: number,
  catalogue: Catalogue,
): Promise<DefinitionStores> {
  const open = <T>(kind: string, message: Message<T>, validate: (definition: T, id: string) => Promise<Violation[]>) =>
    DefinitionStore.open({ nats, kind, message, replicas, validate });
  const lists = await open(LIST_KIND, CustomerList, async (list) => checkCustomerList(list));
  const segments: DefinitionStore<Segment> = await open(KINDS.segment, Segment, (segment, id) =>
    checkAll(segment, id, catalogue, { segments, lists }),
  );
  const rfm = await open(KINDS.rfm, RfmSettings, async (settings) => checkRfmSettings(settings));
  const lifecycle = await open(KINDS.lifecycle, LifecycleSettings, async (settings) =>
    checkLifecycleSettings(settings),
  );
  const holdOut = await open(KINDS.holdOut, HoldOutSettings, async (settings) => checkHoldOutSettings(settings));
  return { segments, lists, rfm, lifecycle, holdOut };
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
  { segments: store, lists }: Pick<DefinitionStores, 'segments' | 'lists'>,
): Promise<Violation[]> {
  const wrong = checkSegment(segment);
  const { rule } = segment;
  if (wrong.length > 0 || rule === undefined) return wrong;
  // Another replica may have made one that this one has not heard of yet.
  for (const other of segmentsIn(rule)) {
    if (other !== id && catalogue.segment(other) === undefined) await fetchInto(catalogue, store, other);
  }
  return [
    ...checkReferences(id, rule, catalogue.rules()),
    ...checkProfileReferences(rule, catalogue.ofProfile),
    ...missingLists(rule, await listsMade(rule, lists)),
  ];
}

/** When each list of a rule was made; those there are not are left out. */
export async function listsMade(rule: Rule, lists: DefinitionStore<CustomerList>): Promise<Map<string, number>> {
  const made = new Map<string, number>();
  for (const id of listsIn(rule)) {
    const found = await lists.get(id).catch((error: unknown) => {
      if (error instanceof RpcError && MISSING.has(error.code)) return undefined;
      throw error;
    });
    if (found !== undefined) made.set(id, found.createTimeMs);
  }
  return made;
}

/** Not there, or no possible id. */
const MISSING: ReadonlySet<number> = new Set([status.NOT_FOUND, status.INVALID_ARGUMENT]);

export function missingLists(rule: Rule, made: ReadonlyMap<string, number>): Violation[] {
  return [...listReferencesIn(rule)]
    .filter(({ id }) => !made.has(id))
    .slice(0, 20)
    .map(({ at: field, id }) => ({ field, description: `there is no list "${id}"` }));
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
