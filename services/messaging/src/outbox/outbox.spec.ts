import { pino } from 'pino';
import { Registry } from 'prom-client';
import { describe, expect, it } from 'vitest';
import { Delivery, DeliveryStatus, SendRequest } from '#gen/recur/log/v1/changes.ts';
import { SendWork } from '#gen/recur/messaging/v1/state.ts';
import type { OutcomeRecord, PartitionHandle } from '#lib/stream/processor.ts';
import { type CallResult, type Channel, ComposeError, type Found } from '../channels/channel.ts';
import { backOffMs } from './job.ts';
import { OutboxMetrics } from './metrics.ts';
import { Outbox, type OutboxParts } from './outbox.ts';

const { DELIVERY_STATUS_SENT: SENT, DELIVERY_STATUS_FAILED: FAILED, DELIVERY_STATUS_UNKNOWN: UNKNOWN } = DeliveryStatus;
const accepted: CallResult = { kind: 'accepted', providerId: 'p1' };
const later: CallResult = { kind: 'later', reason: 'smtp 451', reached: true };
const lost: CallResult = { kind: 'lost', reason: 'connection ECONNECTION' };
const NOW = Date.parse('2026-05-05T12:00Z');

class Partition implements PartitionHandle {
  readonly partition = 3;
  owned = true;
  failing = 0;
  readonly appends: (readonly OutcomeRecord[])[] = [];

  async append(records: readonly OutcomeRecord[]): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    if (this.failing-- > 0) throw new Error('no answer');
    this.appends.push(records);
  }

  get outcomes(): string[] {
    return this.appends.flat().map(({ body, clearsPending }) => {
      const { status, reason, attempts } = Delivery.decode(body);
      return `${clearsPending} ${status} ${attempts} ${reason}`.trim();
    });
  }
}

/** A channel whose provider gives the scripted answers, in order, to each message; the last one for ever. */
function scripted(name: string, script: Record<string, CallResult[]>, calls: string[]): Channel<string> {
  return {
    ...{ name, connections: 2, close: () => undefined },
    compose: ({ key }) => {
      if (key === 'unwritable') throw new ComposeError('template_error: html line 3');
      return key;
    },
    call: async (key) => {
      await new Promise((resolve) => setImmediate(resolve));
      calls.push(key);
      const answers = script[key] ?? [accepted];
      return (answers.length > 1 ? answers.shift() : answers[0]) as CallResult;
    },
  };
}

type Options = Partial<OutboxParts> & { find?: (key: string) => Promise<Found>; repeatableMs?: number };

function outboxWith(script: Record<string, CallResult[]>, { find, repeatableMs, ...more }: Options = {}) {
  const calls: string[] = [];
  const marked: string[][] = [];
  const marks = {
    add: async (keys: ReadonlyMap<number, readonly string[]>) => void marked.push([...keys.values()].flat()),
    find: async () => new Set(marked.flat()),
  };
  const channel: Channel = {
    ...scripted('email', script, calls),
    ...(find && { find: ({ key }) => find(key) }),
    ...(repeatableMs && { repeatableMs }),
  } as Channel;
  const outbox = new Outbox({
    channels: new Map([['email', channel]]),
    ...{ marks, logger: pino({ level: 'silent' }), metrics: new OutboxMetrics(new Registry()), now: () => NOW },
    ...{ live: true, pace: 0.0001 },
    ...more,
  });
  return { outbox, calls, marked };
}

/** A provider that can tell, and has this message only. */
const hasOnly = (mine: string) => async (key: string) =>
  key === mine ? ({ kind: 'has', providerId: 'p', reason: 'found' } as const) : ({ kind: 'has not' } as const);

function work(key: string, recovered = false, more: Partial<SendWork> = {}) {
  const fields = SendWork.fromPartial({
    request: { idempotencyKey: key, channel: 'email' },
    decidedAtMs: NOW - 1000,
    ...more,
  });
  return { customerId: `c-${key}`, key, bytes: SendWork.encode(fields).finish(), recovered };
}

async function settled(partition: Partition, count: number): Promise<string[]> {
  for (let i = 0; i < 500 && partition.outcomes.length < count; i++)
    await new Promise((resolve) => setTimeout(resolve, 2));
  return partition.outcomes;
}

describe('a send', () => {
  it('is marked before the call and told to the log after it', async () => {
    const partition = new Partition();
    const { outbox, marked, calls } = outboxWith({});
    outbox.accept([work('a'), work('b')], partition);
    expect(await settled(partition, 2)).toEqual([`a ${SENT} 1`, `b ${SENT} 1`]);
    expect(marked).toEqual([['a', 'b']]);
    expect(calls).toEqual(['a', 'b']);
    expect(partition.appends.length).toBe(1);
    expect(partition.appends[0]?.[0]?.customerId).toBe('c-a');
  });

  it('many: each once, marks and outcomes in batches', async () => {
    const partition = new Partition();
    const { outbox, marked, calls } = outboxWith({});
    const keys = Array.from({ length: 500 }, (_, i) => `k${i}`);
    for (let i = 0; i < keys.length; i += 50)
      outbox.accept(
        keys.slice(i, i + 50).map((key) => work(key)),
        partition,
      );
    await settled(partition, 500);
    expect(new Set(calls).size).toBe(500);
    expect(calls.length).toBe(500);
    expect(marked.length).toBeLessThan(130);
    expect(partition.appends.length).toBeLessThan(260);
  });

  it('is not called while marks cannot be written', async () => {
    const partition = new Partition();
    let failures = 1;
    const order: string[] = [];
    const add = async () => {
      order.push('mark');
      if (failures-- > 0) throw new Error('away');
    };
    const { outbox, calls } = outboxWith({}, { marks: { add, find: async () => new Set() } });
    outbox.accept([work('a')], partition);
    await settled(partition, 1);
    expect(order).toEqual(['mark', 'mark']);
    expect(calls).toEqual(['a']);
  });

  it('that was refused for now is tried again, and for good is not', async () => {
    const partition = new Partition();
    const { outbox } = outboxWith({ a: [later, later, accepted], b: [{ kind: 'refused', reason: 'smtp 550 5.1.1' }] });
    outbox.accept([work('a'), work('b')], partition);
    expect((await settled(partition, 2)).sort()).toEqual([`a ${SENT} 3`, `b ${FAILED} 1 smtp 550 5.1.1`]);
  });

  it('is given up after eleven attempts over about ten minutes', async () => {
    const partition = new Partition();
    const { outbox, calls } = outboxWith({ a: [later] });
    outbox.accept([work('a')], partition);
    expect(await settled(partition, 1)).toEqual([`a ${FAILED} 11 gave up: smtp 451`]);
    expect(calls.length).toBe(11);
    const waits = Array.from({ length: 10 }, (_, i) => backOffMs(i + 1, 0.5) ?? 0);
    expect(waits.reduce((a, b) => a + b)).toBe(603_000);
  });

  it('that cannot be written fails without a call', async () => {
    const partition = new Partition();
    const { outbox, calls } = outboxWith({});
    outbox.accept([work('unwritable')], partition);
    expect(await settled(partition, 1)).toEqual([`unwritable ${FAILED} 0 template_error: html line 3`]);
    expect(calls).toEqual([]);
  });

  it('does not begin after its quiet hours did', async () => {
    const partition = new Partition();
    const { outbox, calls } = outboxWith({});
    outbox.accept([work('a', false, { notAfterMs: NOW }), work('b', false, { notAfterMs: NOW + 1 })], partition);
    expect((await settled(partition, 2)).sort()).toEqual([`a ${FAILED} 0 too_late: quiet hours began`, `b ${SENT} 1`]);
    expect(calls).toEqual(['b']);
  });
});

describe('a lost answer', () => {
  it('is unknown for good where nobody can be asked', async () => {
    const partition = new Partition();
    const { outbox, calls } = outboxWith({ a: [lost] });
    outbox.accept([work('a')], partition);
    expect(await settled(partition, 1)).toEqual([`a ${UNKNOWN} 1 connection ECONNECTION`]);
    expect(calls).toEqual(['a']);
  });

  it('is called again under its id where that is the same message, and never said to have failed after that', async () => {
    const no: CallResult = { kind: 'refused', reason: 'no' };
    const script = { a: [lost, lost, accepted], b: [lost, no], c: [later, lost, later], d: [no], e: [lost] };
    const { outbox, calls } = outboxWith(script, { repeatableMs: 60_000 });
    const partition = new Partition();
    outbox.accept(
      ['a', 'b', 'c', 'd', 'e'].map((key) => work(key)),
      partition,
    );
    expect((await settled(partition, 5)).sort()).toEqual([
      ...[`a ${SENT} 3`, `b ${UNKNOWN} 2 no`, `c ${UNKNOWN} 11 gave up: smtp 451`, `d ${FAILED} 1 no`],
      `e ${UNKNOWN} 11 gave up: connection ECONNECTION`,
    ]);
    expect(calls.filter((key) => key === 'e').length).toBe(11);
  });

  it('is not called again under its id once the provider may have forgotten it', async () => {
    let now = NOW;
    const options = { repeatableMs: 60_000, now: () => (now += 20_000) };
    const { outbox, calls } = outboxWith({ a: [lost] }, options);
    const partition = new Partition();
    outbox.accept([work('a')], partition);
    const [outcome] = await settled(partition, 1);
    expect(outcome).toMatch(new RegExp(`^a ${UNKNOWN} \\d `));
    expect(calls.length).toBeLessThan(4);
    const old = new Partition();
    outbox.accept([work('b', true, { decidedAtMs: NOW - 60_000 })], old);
    expect(await settled(old, 1)).toEqual([`b ${SENT} 1`]);
  });

  it('is looked up: found is sent, not found may be sent again', async () => {
    const partition = new Partition();
    const { outbox, calls } = outboxWith({ a: [lost], b: [lost, accepted] }, { find: hasOnly('a') });
    outbox.accept([work('a'), work('b')], partition);
    expect((await settled(partition, 2)).sort()).toEqual([`a ${SENT} 1 found`, `b ${SENT} 2`]);
    expect(calls.filter((key) => key === 'a').length).toBe(1);
  });

  it('is unknown when the lookup never answers, and is not repeated', async () => {
    const partition = new Partition();
    const { outbox, calls } = outboxWith({ a: [lost] }, { find: () => Promise.reject(new Error('503')) });
    outbox.accept([work('a')], partition);
    expect(await settled(partition, 1)).toEqual([`a ${UNKNOWN} 1 the lookup does not answer`]);
    expect(calls).toEqual(['a']);
  });
});

describe('a provider that shows messages late', () => {
  const notSeen = async (): Promise<Found> => ({ kind: 'not seen' });

  it('is asked until it does; what it never shows is unknown, and not repeated', async () => {
    const partition = new Partition();
    const answers: Found[] = [
      { kind: 'not seen' },
      { kind: 'not seen' },
      { kind: 'has', providerId: 'p9', reason: 'shown' },
    ];
    const late = outboxWith({ a: [lost] }, { find: async () => answers.shift() as Found });
    late.outbox.accept([work('a')], partition);
    expect(await settled(partition, 1)).toEqual([`a ${SENT} 1 shown`]);
    const never = outboxWith({ b: [lost] }, { find: notSeen });
    never.outbox.accept([work('b')], partition);
    const why = 'the answer was lost, and the provider does not show the message';
    expect((await settled(partition, 2))[1]).toBe(`b ${UNKNOWN} 1 ${why}`);
    expect([...late.calls, ...never.calls]).toEqual(['a', 'b']);
  });

  it('may say that it refused it', async () => {
    const partition = new Partition();
    const find = async (): Promise<Found> => ({ kind: 'refused', reason: 'blocked' });
    const { outbox } = outboxWith({ a: [lost] }, { find });
    outbox.accept([work('a')], partition);
    expect(await settled(partition, 1)).toEqual([`a ${FAILED} 1 blocked`]);
  });

  it('after a crash: what was certainly not begun is sent, the rest is not', async () => {
    const partition = new Partition();
    const { outbox, calls, marked } = outboxWith({}, { find: notSeen });
    marked.push(['a']);
    outbox.accept([work('a', true), work('b', true)], partition);
    expect((await settled(partition, 2)).map((line) => line.slice(0, 3)).sort()).toEqual([`a ${UNKNOWN}`, `b ${SENT}`]);
    expect(calls).toEqual(['b']);
  });
});

describe('channels', () => {
  it('have lanes of their own: one that stands still holds up no other', async () => {
    const partition = new Partition();
    const calls: string[] = [];
    const stuck = { ...scripted('sms', {}, calls), call: () => new Promise<CallResult>(() => undefined) } as Channel;
    const channels = new Map<string, Channel>([
      ['email', scripted('email', {}, calls) as Channel],
      ['sms', stuck],
    ]);
    const { outbox } = outboxWith({}, { channels });
    const by = (channel: string, keys: string[]) =>
      keys.map((key) => work(key, false, { request: SendRequest.fromPartial({ idempotencyKey: key, channel }) }));
    outbox.accept([...by('sms', ['s1', 's2', 's3', 's4', 's5', 's6']), ...by('email', ['a', 'b'])], partition);
    expect(await settled(partition, 2)).toEqual([`a ${SENT} 1`, `b ${SENT} 1`]);
  });

  it('that this process does not have fail without a call', async () => {
    const partition = new Partition();
    const { outbox } = outboxWith({});
    const request = SendRequest.fromPartial({ idempotencyKey: 'a', channel: 'fax' });
    outbox.accept([work('a', false, { request })], partition);
    expect(await settled(partition, 1)).toEqual([`a ${FAILED} 0 channel_unsupported`]);
  });

  it('keep to the rate of their provider', async () => {
    const partition = new Partition();
    const calls: string[] = [];
    const slow = { ...scripted('email', {}, calls), perSecond: 20, connections: 64 } as Channel;
    const { outbox } = outboxWith({}, { channels: new Map([['email', slow]]) });
    const begun = performance.now();
    outbox.accept(
      Array.from({ length: 30 }, (_, i) => work(`k${i}`)),
      partition,
    );
    while (calls.length < 30) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(performance.now() - begun).toBeGreaterThan(450);
  });
});

describe('recovered work', () => {
  it('without lookup: begun is unknown, not begun is sent, too old to tell is unknown', async () => {
    const partition = new Partition();
    const { outbox, calls, marked } = outboxWith({});
    marked.push(['a']);
    const old = work('c', true, { decidedAtMs: NOW - 3 * 86_400_000 });
    outbox.accept([work('a', true), work('b', true), old], partition);
    const unknown = 'recovered: the answer is not known';
    expect((await settled(partition, 3)).sort()).toEqual([
      `a ${UNKNOWN} 0 ${unknown}`,
      `b ${SENT} 1`,
      `c ${UNKNOWN} 0 ${unknown}`,
    ]);
    expect(calls).toEqual(['b']);
  });

  it('with lookup is asked for first', async () => {
    const partition = new Partition();
    const { outbox, calls } = outboxWith({}, { find: hasOnly('a') });
    outbox.accept([work('a', true), work('b', true)], partition);
    expect((await settled(partition, 2)).sort()).toEqual([`a ${SENT} 0 found`, `b ${SENT} 1`]);
    expect(calls).toEqual(['b']);
  });

  it('that this process is at already is not begun again', async () => {
    const [first, second] = [new Partition(), new Partition()];
    const { outbox, calls } = outboxWith({ a: [later, accepted] });
    outbox.accept([work('a')], first);
    first.owned = false;
    outbox.accept([work('a', true)], second);
    expect(await settled(second, 1)).toEqual([`a ${SENT} 2`]);
    expect(calls).toEqual(['a', 'a']);
    expect(first.outcomes).toEqual([]);
  });

  it('whose outcome could not be told is told under the new lease', async () => {
    const [first, second] = [new Partition(), new Partition()];
    const { outbox, calls } = outboxWith({}, { pace: 1 });
    first.failing = Number.POSITIVE_INFINITY;
    outbox.accept([work('a')], first);
    while (calls.length === 0) await new Promise((resolve) => setTimeout(resolve, 2));
    first.owned = false;
    await new Promise((resolve) => setTimeout(resolve, 600));
    outbox.accept([work('a', true)], second);
    expect(await settled(second, 1)).toEqual([`a ${SENT} 1`]);
    expect(calls).toEqual(['a']);
  });
});

describe('a partition lost', () => {
  it('is not worked for any more', async () => {
    const partition = new Partition();
    const { outbox, calls } = outboxWith({});
    partition.owned = false;
    outbox.accept([work('a')], partition);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(calls).toEqual([]);
  });

  it('outcomes are repeated until stored', async () => {
    const partition = new Partition();
    partition.failing = 1;
    const { outbox } = outboxWith({});
    outbox.accept([work('a')], partition);
    expect(await settled(partition, 1)).toEqual([`a ${SENT} 1`]);
  });
});

describe('stop', () => {
  it('waits for calls under way, tells their outcomes, begins nothing', async () => {
    const partition = new Partition();
    const { outbox, calls } = outboxWith({ a: [later] });
    outbox.accept([work('b')], partition);
    await new Promise((resolve) => setImmediate(resolve));
    const stopping = outbox.stop();
    outbox.accept([work('c')], partition);
    await stopping;
    expect(calls).toEqual(calls.length > 0 ? ['b'] : []);
    expect(partition.outcomes.length).toBe(calls.length);
  });
});
