import { type JetStreamManager, jetstreamManager } from '@nats-io/jetstream';
import { type ClusterFacts, clusterOf } from '#lib/boot/streams.ts';
import type { Unsaid } from '#lib/rebuild/fold.ts';
import { Hold } from '#lib/rebuild/hold.ts';
import { cleanScratch, RebuildError, type RebuildParts } from '#lib/rebuild/rebuild.ts';
import { decodeFrame } from '#lib/stream/frames.ts';
import { stageTag } from '#lib/stream/partition-store.ts';
import { LANE, STREAMS, subjects } from '#lib/topology/topology.ts';
import type { LanePosition } from '../processor.ts';
import { type Compared, Comparison, type Counts, type Difference } from './compare.ts';
import { LaneFold } from './lane-fold.ts';
import { repair } from './repair.ts';

export interface LaneRebuilt {
  readonly partition: number;
  /** Frame of INGEST up to which both were compared. */
  readonly seq: number;
  readonly keys: Counts;
  readonly byKind: Counts;
  readonly differences: number;
  /** Some of the differences, in words. */
  readonly first: readonly string[];
  readonly unsaid: readonly Unsaid[];
  readonly repaired: number;
  /** How long the lane stood, ms. */
  readonly heldMs: number;
}

const STAGE = 'identity';
const TAG = stageTag(STAGE, LANE);
/** The lane is held once what is to be folded took less than this the last time. */
const NEAR_MS = 1_000;
const CATCH_UPS = 20;
/** By then an owner that was held up has noticed, and what it was publishing is in the log or is not. */
const QUIET_MS = 2_000;
const LOOKS = 5;
const BETWEEN_LOOKS_MS = 1_000;
const ROUNDS = 20;
const TOLD = 100;

/** Folds the lane anew and compares what comes out, key by key, with what is live. */
export async function* rebuildLane(parts: RebuildParts, wanted: readonly number[] = []): AsyncGenerator<LaneRebuilt> {
  const bad = wanted.find((p) => p !== LANE);
  if (bad !== undefined) throw new RebuildError(`There is no partition ${bad} of identity: it is one lane, 0.`);
  const jsm = await jetstreamManager(parts.nats);
  const cluster = await clusterOf(jsm);
  if (cluster.change !== undefined)
    throw new RebuildError('The number of partitions is being changed: finish npm run repartition first.');
  const { state } = await jsm.streams.info(STREAMS.ingest.name);
  if (state.first_seq > 1 || (state.num_deleted ?? 0) > 0)
    throw new RebuildError(
      `${STREAMS.ingest.name} begins at ${state.first_seq}, ${state.num_deleted ?? 0} frames after it are deleted: what is older is gone, and identity's graph cannot be folded from anything else. INGEST_MAX_AGE_HOURS says how far a new cluster reaches back.`,
    );
  yield await new LaneRebuild(parts, cluster, jsm).run();
}

class LaneRebuild {
  readonly #parts: RebuildParts;
  readonly #cluster: ClusterFacts;
  readonly #jsm: JetStreamManager;

  constructor(parts: RebuildParts, cluster: ClusterFacts, jsm: JetStreamManager) {
    this.#parts = parts;
    this.#cluster = cluster;
    this.#jsm = jsm;
  }

  async run(): Promise<LaneRebuilt> {
    const { nats, scratch: prefixed } = this.#parts;
    const tag = `${prefixed.options.keyPrefix ?? ''}${TAG}`;
    if (tag === TAG) throw new RebuildError('The fold needs keys of its own.');
    await cleanScratch(prefixed, TAG);
    // Scripts of the lane make names of keys themselves: the prefix must be in the tag.
    const scratch = prefixed.duplicate({ keyPrefix: '' });
    try {
      const fold = new LaneFold({ nats, scratch, tag, cluster: this.#cluster });
      await this.#catchUp(fold);
      for (let look = 1; ; look++) {
        const found = await this.#look(fold, scratch, tag);
        if (found !== undefined) return { partition: LANE, ...found, unsaid: fold.unsaid };
        if (look === LOOKS)
          throw new RebuildError(`${TAG} was in the middle of a batch ${LOOKS} times: stop identity, then repair.`);
        await new Promise((resolve) => setTimeout(resolve, BETWEEN_LOOKS_MS));
      }
    } finally {
      scratch.disconnect();
      await cleanScratch(prefixed, TAG);
    }
  }

  /** Until what is left takes no time. */
  async #catchUp(fold: LaneFold): Promise<void> {
    for (let round = 0; round < CATCH_UPS; round++) {
      const to = await this.#livePosition();
      this.#parts.progress(`${TAG}: folding ${STREAMS.ingest.name} up to ${to.seq}`);
      const started = Date.now();
      await fold.to(to);
      if (Date.now() - started < NEAR_MS) return;
    }
  }

  /** @returns undefined when something was to be repaired, and the lane stood in the middle of a batch */
  async #look(
    fold: LaneFold,
    scratch: RebuildParts['scratch'],
    scratchTag: string,
  ): Promise<Omit<LaneRebuilt, 'partition' | 'unsaid'> | undefined> {
    const { live, progress } = this.#parts;
    const started = Date.now();
    const hold = await Hold.take(live, STAGE, LANE);
    try {
      const to = await this.#livePosition();
      await fold.to(to);
      const sides = { live, scratch, liveTag: TAG, scratchTag, seq: to.seq, day: fold.day };
      const compare = () => new Comparison({ ...sides, commandAt: (key) => fold.commandAt(key) }).run();
      const compared = await compare();
      await hold.check();
      const mends = this.#parts.repair && compared.differences.length > 0;
      if (mends && (await this.#between(to.seq))) return undefined;
      const repaired = mends ? await this.#repair(compared, hold, compare) : 0;
      const heldMs = Date.now() - started;
      progress(`${TAG}: compared at ${to.seq}, held for ${heldMs} ms`);
      const { keys, byKind, differences } = compared;
      const total = Object.values(byKind).reduce((sum, n) => sum + n, 0);
      const first = differences.slice(0, TOLD).map(lineOf);
      return { seq: to.seq, keys, byKind, differences: total, first, repaired, heldMs };
    } finally {
      await hold.release();
    }
  }

  /** Whether something is in the log already that was decided by what is to be repaired, and is not committed. */
  async #between(seq: number): Promise<boolean> {
    await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
    for (let p = 0; p < this.#cluster.partitions; p++) {
      const subject = subjects.log(p, 'event');
      const { state } = await this.#jsm.streams.info(STREAMS.log.name, { subjects_filter: subject });
      if (!state.subjects?.[subject]) continue;
      const last = await this.#jsm.streams.getMessage(STREAMS.log.name, { last_by_subj: subject });
      const { throughSeq, aheadSeq } = decodeFrame(last?.data ?? new Uint8Array());
      if (Math.max(throughSeq, aheadSeq) > seq) return true;
    }
    return false;
  }

  /** Each round writes as many as a comparison keeps. */
  async #repair(found: Compared, hold: Hold, compare: () => Promise<Compared>): Promise<number> {
    let repaired = 0;
    let left = found.differences;
    for (let round = 0; left.length > 0; round++) {
      if (round === ROUNDS) throw new RebuildError(`${TAG}: ${left.length} differences are left after the repair.`);
      await repair(this.#parts.live, TAG, hold.token, left);
      repaired += left.length;
      left = (await compare()).differences;
    }
    return repaired;
  }

  async #livePosition(): Promise<LanePosition> {
    const stored = await this.#parts.live.get(`${TAG}:position`);
    if (stored === null)
      throw new RebuildError(`${TAG} has no position in Redis: identity has not begun, or folds the lane itself now.`);
    const { seq, clock } = readPosition(stored);
    const { state } = await this.#jsm.streams.info(STREAMS.ingest.name);
    if (!(seq >= 0 && seq <= state.last_seq))
      throw new RebuildError(`${TAG} stands at ${seq}, and ${STREAMS.ingest.name} ends at ${state.last_seq}.`);
    return { seq, clock };
  }
}

function readPosition(stored: string): LanePosition {
  try {
    return JSON.parse(stored) as LanePosition;
  } catch (error) {
    throw new RebuildError(`${TAG}:position cannot be read: delete it, and identity folds the lane again.`, {
      cause: error,
    });
  }
}

/** Of an identifier its type and the beginning of its keyed hash, of a message id its own hash. */
function lineOf({ kind, key, id, have, want }: Difference): string {
  const [, , ...rest] = key.toString().split(':');
  const sizeOf = (bytes: Buffer | null) => (bytes === null ? 'nothing' : `${bytes.length} bytes`);
  const tell = (bytes: Buffer | null) => (kind === 'message_id' ? `frame ${bytes}` : sizeOf(bytes));
  const name = {
    position: '',
    types: '',
    identifier: `${rest[0]}:${rest[1]?.slice(0, 8)}…`,
    customer: rest[0],
    outcome: rest.join(':'),
    message_id: Buffer.concat([key.subarray(-2), id ?? Buffer.alloc(0)]).toString('hex'),
  }[kind];
  return `${kind} ${name}: live ${have === null ? 'nothing' : tell(have)}, folded ${want === null ? 'nothing' : tell(want)}`;
}
