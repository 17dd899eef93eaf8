import type { Redis } from 'ioredis';
import { CustomerNode } from '#gen/recur/identity/v1/state.ts';
import { Recent } from '#lib/recent/recent.ts';
import { FencedError, ThrownBackError } from '#lib/stream/partition-store.ts';
import { identifierKey } from '../core/event-keys.ts';
import type { Graph, GraphSource } from '../core/graph.ts';
import type { Node } from '../core/node.ts';
import type { ClaimedFrame } from '../core/seen.ts';

/** The lane's position: how far it has read, and its clock. */
export interface LanePosition {
  readonly seq: number;
  readonly clock: number;
}

/** Owners and nodes kept in memory between batches. */
const OWNERS = 200_000;
const NODES = 10_000;
/** Message ids are remembered at least 24 h and at most 48 h, in one generation a day. */
export const GENERATION_SECONDS = 2 * 24 * 3600;

/** Of the first two bytes of an id. */
const SLOTS = 65_536;

/** What became of a command can be asked for so long. */
export const OUTCOME = ':r:';
export const OUTCOME_SECONDS = 24 * 3600;
const NO_VALUES: ReadonlyMap<string, Buffer> = new Map();

const GUARD = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 'FENCED' end
if (redis.call('GET', KEYS[2]) or '') ~= ARGV[2] then return 'BACK' end`;

/**
 * Takes message ids for the frames they came in, and says which were taken before: one character each. An id keeps the sequence
 * of its frame, so that after a crash the same frame finds its own ids free.
 */
const CLAIM = `${GUARD}
local out = {}
for a = 5, #ARGV, 2 do
  local seq, ids = ARGV[a], ARGV[a + 1]
  for i = 1, #ids, 14 do
    local slot, id = string.sub(ids, i, i + 1), string.sub(ids, i + 2, i + 13)
    local bucket = ARGV[3] .. slot
    local before = redis.call('HGET', ARGV[4] .. slot, id)
    local known = (before and before ~= seq)
      or (redis.call('HSETNX', bucket, id, seq) == 0 and redis.call('HGET', bucket, id) ~= seq)
    out[#out + 1] = known and '1' or '0'
  end
end
return table.concat(out)`;

const COMMIT = `${GUARD}
local a = 6
for i = 3, #KEYS do redis.call('SET', KEYS[i], ARGV[a]); a = a + 1 end
for i = a, #ARGV do redis.call('EXPIRE', ARGV[4] .. ARGV[i], ARGV[5]) end
redis.call('SET', KEYS[2], ARGV[3])
return 'OK'`;

type Scripted = Redis & {
  recurClaim(owner: string, position: string, ...args: (string | Buffer)[]): Promise<string>;
  recurIdentityCommit(keys: number, ...args: (string | Buffer)[]): Promise<string>;
};

/**
 * The identity graph of a lane in Redis, under the lane's hash tag:
 *   :i:<type>:<hash>   customer of an identifier (core/node.ts)   :n:<customer>   CustomerNode
 *   :seen:<day>:<slot> message ids, hashed, by day and slot, so that Redis packs them tightly
 *   :rules             types in force                   :r:<request>    what became of a command, for a day
 * and the position, all written in one step by the owner only.
 */
export class GraphStore implements GraphSource {
  readonly tag: string;
  private readonly redis: Scripted;
  private readonly token: string;
  private readonly owners = new Recent<string>(OWNERS);
  private readonly nodes = new Recent<Node>(NODES);
  /** Of the batch at hand: nothing it needs may be pushed out of the caches while it is decided. */
  private batchOwners = new Map<string, string | undefined>();
  private batchNodes = new Map<string, Node>();
  private stored = '';
  /** Slots of the present day that were given their end by this owner. */
  private readonly slots = { day: 0, ended: new Uint8Array(SLOTS) };

  constructor(redis: Redis, tag: string, token: string) {
    this.redis = redis as Scripted;
    this.tag = tag;
    this.token = token;
    if (!this.redis.recurClaim) {
      this.redis.defineCommand('recurClaim', { numberOfKeys: 2, lua: CLAIM });
      this.redis.defineCommand('recurIdentityCommit', { lua: COMMIT });
    }
  }

  async load(): Promise<LanePosition> {
    this.owners.clear();
    this.nodes.clear();
    this.slots.ended.fill(0);
    this.stored = (await this.redis.get(`${this.tag}:position`)) ?? '';
    return this.stored ? (JSON.parse(this.stored) as LanePosition) : { seq: 0, clock: 0 };
  }

  /**
   * Takes the message ids of frames, in order; for each id whether it was taken before, by another frame. Also makes sure the
   * lane is still ours and Redis is where we left it.
   */
  async claim(frames: readonly ClaimedFrame[], day: number): Promise<boolean[]> {
    const { tag, token, stored } = this;
    const prefixes = [`${tag}:seen:${day}:`, `${tag}:seen:${day - 1}:`];
    const flat = frames.flatMap(({ seq, ids }) => [String(seq), Buffer.from(ids.join(''), 'latin1')]);
    const answer = await this.redis.recurClaim(`${tag}:owner`, `${tag}:position`, token, stored, ...prefixes, ...flat);
    this.check(answer);
    return Array.from(answer, (c) => c === '1');
  }

  /** Brings the owners of these identifiers into memory. */
  async loadOwners(keys: Iterable<string>): Promise<void> {
    this.batchOwners = new Map();
    const missing: string[] = [];
    for (const key of keys) {
      if (this.batchOwners.has(key)) continue;
      const known = this.owners.get(key);
      this.batchOwners.set(key, known);
      if (known === undefined) missing.push(key);
    }
    if (missing.length === 0) return;
    const found = await this.redis.mget(missing.map((key) => `${this.tag}:i:${key}`));
    missing.forEach((key, i) => {
      const id = found[i];
      if (!id) return;
      this.batchOwners.set(key, id);
      this.owners.set(key, id);
    });
  }

  async loadNodes(customerIds: Iterable<string>): Promise<void> {
    this.batchNodes = new Map();
    const missing: string[] = [];
    for (const id of new Set(customerIds)) {
      const known = this.nodes.get(id);
      if (known) this.batchNodes.set(id, known);
      else missing.push(id);
    }
    if (missing.length === 0) return;
    const found = await this.redis.mgetBuffer(missing.map((id) => `${this.tag}:n:${id}`));
    missing.forEach((id, i) => {
      this.batchNodes.set(id, decodeNode(id, found[i]));
    });
  }

  owner(key: string): string | undefined {
    return this.batchOwners.get(key);
  }

  node(customerId: string): Node {
    const node = this.batchNodes.get(customerId);
    if (!node) throw new Error('a batch touches only the customers it announced');
    return node;
  }

  /** A value kept besides the graph, by its key behind the lane's tag. */
  value(key: string): Promise<Buffer | null> {
    return this.redis.getBuffer(this.tag + key);
  }

  /** Writes what the batch changed, and the position, or nothing. `values` are stored besides, by key behind the tag. */
  async commit(
    position: LanePosition,
    graph: Pick<Graph, 'moved' | 'newNodes'>,
    taken: readonly string[],
    day: number,
    extra: ReadonlyMap<string, Buffer> = NO_VALUES,
  ): Promise<void> {
    const next = JSON.stringify(position);
    const keys = [`${this.tag}:owner`, `${this.tag}:position`];
    const values: (string | Buffer)[] = [];
    for (const [key, id] of graph.moved) {
      keys.push(`${this.tag}:i:${key}`);
      values.push(id);
    }
    for (const [key, bytes] of extra) {
      keys.push(this.tag + key);
      values.push(bytes);
    }
    const nodes = [...this.batchNodes.values(), ...graph.newNodes].filter((n) => n.dirty);
    for (const node of nodes) {
      keys.push(`${this.tag}:n:${node.id}`);
      values.push(encodeNode(node));
    }
    const fixed = [this.token, this.stored, next, `${this.tag}:seen:${day}:`, String(GENERATION_SECONDS)];
    const slots = this.newSlots(taken, day).map((slot) => Buffer.from(slot, 'latin1'));
    this.check(await this.redis.recurIdentityCommit(keys.length, ...keys, ...fixed, ...values, ...slots));
    this.stored = next;
    // Only to be looked up while somebody waits: when this is lost, one key stays.
    for (const key of extra.keys()) {
      if (key.startsWith(OUTCOME)) await this.redis.expire(this.tag + key, OUTCOME_SECONDS);
    }
    for (const [key, id] of graph.moved) this.owners.set(key, id);
    for (const node of nodes) {
      node.dirty = false;
      this.nodes.set(node.id, node);
    }
  }

  /** Slots that may be new today: they must be given their end. */
  private newSlots(taken: readonly string[], day: number): string[] {
    const { slots } = this;
    if (slots.day !== day) {
      slots.day = day;
      slots.ended.fill(0);
    }
    const fresh: string[] = [];
    for (const id of taken) {
      const slot = id.charCodeAt(0) * 256 + id.charCodeAt(1);
      if (slots.ended[slot] === 1) continue;
      slots.ended[slot] = 1;
      fresh.push(id.slice(0, 2));
    }
    return fresh;
  }

  private check(answer: string): void {
    if (answer === 'FENCED') throw new FencedError(`${this.tag}: another owner has taken over`);
    if (answer === 'BACK') throw new ThrownBackError(`${this.tag}: not at the position we left`);
  }
}

export function decodeNode(id: string, bytes: Uint8Array | null | undefined): Node {
  const stored = bytes ? CustomerNode.decode(bytes) : CustomerNode.fromPartial({});
  return {
    id,
    known: bytes !== null && bytes !== undefined,
    identified: stored.identified,
    identifiers: stored.identifiers.map(({ type, hash }) => ({ type, hash, key: identifierKey(type, hash) })),
    absorbed: stored.absorbed,
    mergedInto: stored.mergedInto,
    apart: stored.apart,
    dirty: false,
  };
}

export function encodeNode(node: Node): Buffer {
  const { identified, mergedInto, absorbed, apart } = node;
  const identifiers = node.identifiers.map(({ type, hash }) => ({ type, hash: Buffer.from(hash) }));
  return Buffer.from(CustomerNode.encode({ identified, identifiers, mergedInto, absorbed, apart }).finish());
}
