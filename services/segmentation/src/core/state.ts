import { type Search, State } from '#gen/recur/segmentation/v1/state.ts';
import { decodeFacts, encodeFacts, type Facts, newFacts } from '#lib/facts/facts.ts';
import { Hot } from './hot.ts';
import { Members } from './members.ts';
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
    hot: new Hot(),
  };
}

export const stateCodec = {
  encode(state: CustomerState): Uint8Array {
    const { facts, members, told, nextMs, hot: _, ...rest } = state;
    return State.encode({
      ...rest,
      facts: asBuffer(encodeFacts(facts)),
      memberships: asBuffer(members.encode()),
      told: asBuffer(told.encode()),
      nextMs: nextMs === Number.POSITIVE_INFINITY ? 0 : nextMs,
    }).finish();
  },
  decode(bytes: Uint8Array): CustomerState {
    const { facts, memberships, told, nextMs, ...rest } = State.decode(bytes);
    return {
      ...rest,
      facts: decodeFacts(facts),
      // A copy: the bytes belong to whoever read them.
      members: new Members(Uint8Array.from(memberships)),
      told: new Told(Uint8Array.from(told)),
      nextMs: nextMs === 0 ? Number.POSITIVE_INFINITY : nextMs,
      hot: new Hot(),
    };
  },
};

const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
