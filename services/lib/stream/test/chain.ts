import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import type { Codec, Processor, StageSpec } from '../processor.ts';

/** A state any change of order, loss or repetition shows in: a count and a hash over everything seen so far. */
export interface Seen {
  count: number;
  hash: number;
}

const codec = {
  encode: (s: Seen) => {
    const b = Buffer.alloc(8);
    b.writeUInt32BE(s.count, 0);
    b.writeUInt32BE(s.hash >>> 0, 4);
    return b;
  },
  decode: (b: Uint8Array) => {
    const view = Buffer.from(b.buffer, b.byteOffset, b.length);
    return { count: view.readUInt32BE(0), hash: view.readUInt32BE(4) };
  },
};

/** What a state ends with stays for four records, and is missed when it is not there: so the store has to have kept it. */
const endOf = (s: Seen) => Buffer.from(`every fourth record another: ${s.count >> 2}`);
const ending: Codec<Seen> = {
  encode: (s) => Buffer.concat([codec.encode(s), endOf(s)]),
  store(s, tail) {
    const end = endOf(s);
    if (tail !== undefined && end.equals(tail)) return { bytes: codec.encode(s), kept: end.length, tail };
    return { bytes: this.encode(s), kept: 0, tail: end };
  },
  decode(b) {
    const state = codec.decode(b);
    if (!endOf(state).equals(b.subarray(8))) throw new Error('a state without its end');
    return state;
  },
};

/** First byte as the processors write it; values from here on are refused. */
export const POISON = 'poison';
const TIMER_AFTER_MS = 40;

function mix(state: Seen | undefined, text: string): Seen {
  let hash = state?.hash ?? 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193) >>> 0;
  return { count: (state?.count ?? 0) + 1, hash };
}

/** Sees events, sets a timer with every third, tells its hash with every step. */
function hashing(kind: RecordKind): Processor<Seen> {
  return {
    process(state, input, ctx, out) {
      const text = Buffer.from(input.body).toString();
      if (text === POISON) throw new Error('poison');
      const next = mix(state, `${input.kind}:${text}@${ctx.now}`);
      if (next.count % 3 === 0) out.setTimer('t', ctx.now + TIMER_AFTER_MS);
      out.emit(kind, Buffer.from(`${next.count}:${next.hash}`));
      return next;
    },
    onTimer(state, timerId, ctx, out) {
      const next = mix(state, `${timerId}@${ctx.now}`);
      out.emit(kind, Buffer.from(`timer ${next.count}:${next.hash}`));
      return next;
    },
    absorb(state, from) {
      return { count: (state?.count ?? 0) + from.count, hash: ((state?.hash ?? 0) ^ from.hash) >>> 0 };
    },
  };
}

/** Two stages in a row, under the names whose wiring they need: the second waits for the first and merges its output. */
export const first: StageSpec<Seen> = {
  stage: 'profile',
  codec,
  processor: hashing(RecordKind.RECORD_KIND_PROFILE),
};
export const second: StageSpec<Seen> = {
  stage: 'segmentation',
  codec: ending,
  processor: hashing(RecordKind.RECORD_KIND_SEGMENT),
};

/** The first stage, with outside work at every fourth record of a customer, under a key of its own; `begin` is told of it. */
export const working = (begin: (key: string, recovered: boolean) => void): StageSpec<Seen> => {
  const processor = hashing(RecordKind.RECORD_KIND_PROFILE);
  const process: Processor<Seen>['process'] = (state, input, ctx, out) => {
    const next = processor.process(state, input, ctx, out);
    if (next !== undefined && next.count % 4 === 0) out.setPending(`${ctx.customerId}.${next.count}`, Buffer.of(1));
    return next;
  };
  return {
    ...first,
    processor: { ...processor, process },
    onPending: (work) => {
      for (const { key, recovered } of work) begin(key, recovered);
    },
  };
};
