import { describe, expect, it } from 'vitest';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import type { Span } from './frames.ts';
import type { StageSpec } from './processor.ts';
import { ProcessorHarness } from './testing.ts';

const EVENT = RecordKind.RECORD_KIND_EVENT;

/** Keeps a list of words; "timer N" sets a timer in N ms; "boom" throws; "refuse" is refused. */
const spec: Pick<StageSpec<string[], string>, 'codec' | 'processor' | 'definitions'> = {
  codec: { encode: (s) => Buffer.from(JSON.stringify(s)), decode: (b) => JSON.parse(Buffer.from(b).toString()) },
  definitions: { compile: (active) => active.map((d) => `${d.id}@${d.revision}`).join() },
  processor: {
    process(state = [], input, ctx, out) {
      const word = Buffer.from(input.body).toString();
      state.push(word);
      if (word === 'boom') throw new Error('boom');
      if (word === 'refuse') {
        out.deadLetter('refused');
        return undefined;
      }
      const [, ms] = word.split('timer ');
      if (ms) out.setTimer('t', ctx.now + Number(ms));
      out.emit(EVENT, Buffer.from(`${word} ${ctx.definitions}`.trim()));
      return state;
    },
    onTimer(state, id, ctx, out) {
      out.emit(EVENT, Buffer.from(`fired ${id} at ${ctx.now}`));
      state.push('fired');
      return state;
    },
    absorb: (state = [], from, fromId) => [...state, ...from, `<${fromId}`],
    sweep(state, change) {
      state.push(`swept ${change.id}`);
      return state;
    },
  },
};

const say = (h: ProcessorHarness<string[], string>, id: string, word: string, at: number) =>
  h.input(id, EVENT, Buffer.from(word), at).map((o) => `${o.customerId}: ${Buffer.from(o.body)}`);

describe('executor', () => {
  it('fires timers at their own moment, before what comes later', () => {
    const h = new ProcessorHarness(spec);
    say(h, 'a', 'timer 100', 1_000);
    expect(say(h, 'b', 'late', 5_000)).toEqual(['a: fired t at 1100', 'b: late']);
  });

  it('does not look up the customers of records that mean nothing; what cannot be told is for the processor', () => {
    const looked: string[] = [];
    const concerns = (_: RecordKind, { bytes, from, to }: Span, definitions: string) => {
      const word = Buffer.from(bytes.subarray(from, to)).toString();
      looked.push(`${word} ${definitions}`.trim());
      if (word === 'unreadable') throw new RangeError('ends early');
      return word !== 'nothing';
    };
    const h = new ProcessorHarness({ ...spec, processor: { ...spec.processor, concerns } });
    say(h, 'a', 'one', 1);
    h.define({ kind: 'word', id: 'w', revision: 1, deleted: false, body: Buffer.of() });
    expect(say(h, 'a', 'nothing', 2)).toEqual([]);
    expect(say(h, 'b', 'nothing', 3)).toEqual([]);
    expect(say(h, 'a', 'unreadable', 4)).toEqual(['a: unreadable w@1']);
    h.merge('a', 'b');
    expect(say(h, 'a', 'nothing', 5)).toEqual([]);
    expect(say(h, 'a', 'two', 6)).toEqual(['b: two w@1']);
    expect(looked).toEqual([
      'one',
      'nothing w@1',
      'nothing w@1',
      'unreadable w@1',
      'nothing w@1',
      'two w@1',
      'two w@1',
    ]);
    expect(h.state('b')).toEqual(['one', 'swept w', 'unreadable', '<a', 'two']);
  });

  it('a timer set for now, or the past, fires a millisecond later', () => {
    const h = new ProcessorHarness(spec);
    expect(say(h, 'a', 'timer 0', 1_000)).toEqual(['a: timer 0']);
    expect(h.timers.get('a\u0000t')).toBe(1_001);
  });

  it('a record that throws or is refused becomes a dead letter and leaves no trace, the others count', () => {
    const h = new ProcessorHarness(spec);
    say(h, 'a', 'one', 1);
    expect(say(h, 'a', 'boom', 2)).toEqual([]);
    expect(say(h, 'a', 'refuse', 3)).toEqual([]);
    say(h, 'a', 'two', 4);
    expect(h.state('a')).toEqual(['one', 'two']);
    expect(h.deadLetters).toEqual([
      { customerId: 'a', reason: 'boom' },
      { customerId: 'a', reason: 'refused' },
    ]);
  });

  it('a merge hands the state over, and what still comes for the old customer is forwarded', () => {
    const h = new ProcessorHarness(spec);
    say(h, 'old', 'x', 1);
    say(h, 'new', 'y', 2);
    h.merge('new', 'old', 3);
    expect(h.state('old')).toEqual(['x', 'y', '<new']);
    expect(h.state('new')).toBeUndefined();
    expect(say(h, 'new', 'z', 4)).toEqual(['old: z']);
    expect(h.state('old')).toEqual(['x', 'y', '<new', 'z']);
  });

  it('definitions take effect once, older revisions never, and everybody is swept', () => {
    const h = new ProcessorHarness(spec);
    for (let i = 0; i < 12; i++) say(h, `c${i}`, 'x', 1);
    const def = { kind: 'segment', id: 's', revision: 2, deleted: false, body: Buffer.alloc(0) };
    h.define(def);
    h.define({ ...def, revision: 1 });
    expect(say(h, 'c0', 'y', 2)).toEqual(['c0: y s@2']);
    for (let i = 1; i < 12; i++) expect(h.state(`c${i}`)).toEqual(['x', 'swept s']);
    h.define({ ...def, revision: 3, deleted: true });
    expect(say(h, 'c0', 'z', 3)).toEqual(['c0: z']);
  });
});
