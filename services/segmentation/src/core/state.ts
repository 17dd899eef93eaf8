import { type Search, State } from '#gen/recur/segmentation/v1/state.ts';
import { decodeFacts, encodeFacts, type Facts, newFacts } from '#lib/facts/facts.ts';
import { WireWriter } from '#lib/wire/wire.ts';
import { Hot } from './hot.ts';
import { Members } from './members.ts';
import { Purchases } from './purchases.ts';
import { Told } from './told.ts';

/** What segmentation keeps of one customer, as it is worked on. */
export interface CustomerState {
  facts: Facts;
  readonly searches: Search[];
  readonly members: Members;
  /** Empty: none. */
  rfmClass: string;
  rfmSinceMs: number;
  lifecycleStage: string;
  lifecycleSinceMs: number;
  /** The earliest moment at which time alone may change something; Infinity: never. Never later than the true one. */
  nextMs: number;
  evaluatedMs: number;
  readonly told: Told;
  readonly purchases: Purchases;
  /** Not stored. */
  readonly hot: Hot;
}

export function newState(): CustomerState {
  return {
    facts: newFacts(),
    searches: [],
    members: new Members(),
    rfmClass: '',
    rfmSinceMs: 0,
    lifecycleStage: '',
    lifecycleSinceMs: 0,
    nextMs: Number.POSITIVE_INFINITY,
    evaluatedMs: 0,
    told: new Told(),
    purchases: new Purchases(),
    hot: new Hot(),
  };
}

// Encoding never yields, so one writer serves the thread.
const writer = new WireWriter();

/** Memberships of fewer bytes are sent each time: that costs less than having them put together. */
const WORTH_KEEPING = 512;

/** As the kit stores it: `kept` bytes at the end of what is stored come after `bytes`. */
interface Stored {
  readonly bytes: Uint8Array;
  readonly kept: number;
  readonly tail: Uint8Array | undefined;
}

/** recur.segmentation.v1.State, written by hand because every commit pays for it (a test holds it equal to the generated code). */
export const stateCodec = {
  encode(state: CustomerState): Uint8Array {
    return write(state, state.members.encode()).finish();
  },
  /** Memberships come last: the same field, and somebody in hundreds of segments mostly stays in them. */
  store(state: CustomerState, tail: Uint8Array | undefined): Stored {
    const memberships = state.members.encode();
    if (memberships.length < WORTH_KEEPING) return { bytes: this.encode(state), kept: 0, tail: undefined };
    const w = write(state, undefined);
    if (memberships !== tail) {
      w.bytes(2, memberships);
      return { bytes: w.finish(), kept: 0, tail: memberships };
    }
    w.head(2, memberships.length);
    return { bytes: w.finish(), kept: memberships.length, tail };
  },
  decode(bytes: Uint8Array): CustomerState {
    const { facts, memberships, told, purchases, nextMs, ...rest } = State.decode(bytes);
    return {
      ...rest,
      facts: decodeFacts(facts),
      // A copy: the bytes belong to whoever read them.
      members: new Members(Uint8Array.from(memberships)),
      told: new Told(Uint8Array.from(told)),
      purchases: new Purchases(Uint8Array.from(purchases)),
      nextMs: nextMs === 0 ? Number.POSITIVE_INFINITY : nextMs,
      hot: new Hot(),
    };
  },
};

function write(state: CustomerState, memberships: Uint8Array | undefined): WireWriter {
  // These have writers of their own.
  const facts = encodeFacts(state.facts);
  const told = state.told.encode();
  const purchases = state.purchases.encode();
  const w = writer;
  w.reset();
  w.bytes(1, facts);
  if (memberships !== undefined) w.bytes(2, memberships);
  w.string(3, state.rfmClass);
  w.number(4, state.rfmSinceMs);
  w.string(5, state.lifecycleStage);
  w.number(6, state.lifecycleSinceMs);
  w.number(7, state.nextMs === Number.POSITIVE_INFINITY ? 0 : state.nextMs);
  w.number(8, state.evaluatedMs);
  for (const { query, lastMs } of state.searches) {
    const start = w.open(9);
    w.string(1, query);
    w.number(2, Math.max(0, lastMs));
    w.close(start);
  }
  w.bytes(10, told);
  w.bytes(11, purchases);
  return w;
}
