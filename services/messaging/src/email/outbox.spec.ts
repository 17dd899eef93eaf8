import { pino } from 'pino';
import { Registry } from 'prom-client';
import { describe, expect, it } from 'vitest';
import { Delivery, DeliveryStatus } from '#gen/recur/log/v1/changes.ts';
import { SendWork } from '#gen/recur/messaging/v1/state.ts';
import type { OutcomeRecord, PartitionHandle } from '#lib/stream/processor.ts';
import { ComposeError } from './compose.ts';
import { backOffMs } from './job.ts';
import { OutboxMetrics } from './metrics.ts';
import { Outbox, type OutboxParts } from './outbox.ts';
import type { CallResult } from './smtp.ts';

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

/** An outbox whose provider gives the scripted answers, in order, to each message; the last one for ever. */
function outboxWith(script: Record<string, CallResult[]>, more: Partial<OutboxParts> = {}) {
  const calls: string[] = [];
  const marked: string[][] = [];
  const marks = {
    add: async (keys: ReadonlyMap<number, readonly string[]>) => void marked.push([...keys.values()].flat()),
    find: async () => new Set(marked.flat()),
  };
  const outbox = new Outbox({
    composer: {
      messageId: (key) => `${key}@test`,
      compose: ({ request }) => {
        const key = request?.idempotencyKey ?? '';
        if (key === 'unwritable') throw new ComposeError('template_error: html line 3');
        return {
          messageId: `${key}@test`,
          from: { name: '', address: 'a@b.co' },
          to: 'c@d.co',
          subject: '',
          text: '',
          html: '',
          headers: {},
        };
      },
    },
    transport: {
      send: async ({ messageId }) => {
        await new Promise((resolve) => setImmediate(resolve));
        const key = messageId.split('@')[0] as string;
        calls.push(key);
        const answers = script[key] ?? [accepted];
        return (answers.length > 1 ? answers.shift() : answers[0]) as CallResult;
      },
    },
    ...{
      marks,
      logger: pino({ level: 'silent' }),
      metrics: new OutboxMetrics(new Registry()),
      now: () => NOW,
      live: true,
      connections: 2,
    },
    pace: 0.0001,
    ...more,
  });
  return { outbox, calls, marked };
}

function work(key: string, recovered = false, more: Partial<SendWork> = {}) {
  const fields = SendWork.fromPartial({ request: { idempotencyKey: key }, decidedAtMs: NOW - 1000, ...more });
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

  it('is looked up: found is sent, not found may be sent again', async () => {
    const partition = new Partition();
    const has = async (messageId: string) => messageId === 'a@test';
    const { outbox, calls } = outboxWith({ a: [lost], b: [lost, accepted] }, { lookup: { has } });
    outbox.accept([work('a'), work('b')], partition);
    expect((await settled(partition, 2)).sort()).toEqual([`a ${SENT} 1 found by its Message-ID`, `b ${SENT} 2`]);
    expect(calls.filter((key) => key === 'a').length).toBe(1);
  });

  it('is unknown when the lookup never answers, and is not repeated', async () => {
    const partition = new Partition();
    const has = () => Promise.reject(new Error('503'));
    const { outbox, calls } = outboxWith({ a: [lost] }, { lookup: { has } });
    outbox.accept([work('a')], partition);
    expect(await settled(partition, 1)).toEqual([`a ${UNKNOWN} 1 the lookup does not answer`]);
    expect(calls).toEqual(['a']);
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
    const has = async (messageId: string) => messageId === 'a@test';
    const { outbox, calls } = outboxWith({}, { lookup: { has } });
    outbox.accept([work('a', true), work('b', true)], partition);
    expect((await settled(partition, 2)).sort()).toEqual([`a ${SENT} 0 found by its Message-ID`, `b ${SENT} 1`]);
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
