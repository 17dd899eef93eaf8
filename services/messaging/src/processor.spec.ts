import { beforeEach, describe, expect, it } from 'vitest';
import { Decision, DecisionOutcome, Delivery, DeliveryStatus, SendRequest } from '#gen/recur/log/v1/changes.ts';
import { Event, EventType, type Trait } from '#gen/recur/log/v1/event.ts';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import { CustomerState, MessageStatus, SendWork } from '#gen/recur/messaging/v1/state.ts';
import { Template } from '#gen/recur/messaging/v1/template.ts';
import { type HarnessOutput, ProcessorHarness } from '#lib/stream/testing.ts';
import fc from '#tools/testkit/fast-check.ts';
import { capReached } from './core/frequency-cap.ts';
import { isQuiet } from './core/quiet-hours.ts';
import { DEFAULT_POLICY } from './core/settings.ts';
import { messagingSpec } from './stage.ts';

const DAY = 86_400_000;
const at = (text: string) => Date.parse(text);
const NOON = at('2026-05-05T12:00+08:00');

type Harness = ReturnType<typeof newHarness>;

function newHarness() {
  const harness = new ProcessorHarness(messagingSpec({ shopTimeZone: 'Asia/Shanghai' }));
  const template = Template.fromPartial({
    id: 'hello',
    channel: 'email',
    content: { subject: 'Hi', text: '{{ customer.hobby }}' },
  });
  harness.define(
    { kind: 'template', id: 'hello', revision: 7, deleted: false, body: Template.encode(template).finish() },
    1000,
  );
  return harness;
}

function event(h: Harness, id: string, e: Partial<Event>, ms: number): HarnessOutput[] {
  const body = Event.encode(Event.fromPartial({ messageId: `m${ms}`, timeMs: ms, ...e })).finish();
  return h.input(id, RecordKind.RECORD_KIND_EVENT, body, ms);
}

function identify(
  h: Harness,
  id: string,
  ms: number,
  more: { zone?: string; address?: string; traits?: Partial<Trait>[] } = {},
): void {
  const address = more.address ?? id;
  const traits = [{ name: 'email', sealed: Buffer.from(`sealed ${address}`) }, ...(more.traits ?? [])];
  if (more.zone) traits.push({ name: 'timezone', json: Buffer.from(JSON.stringify(more.zone)) });
  const identifiers = [{ type: 'email', hash: Buffer.from(address) }];
  event(h, id, { type: EventType.EVENT_TYPE_IDENTIFY, traits: traits as Trait[], identifiers }, ms);
}

function track(h: Harness, id: string, name: string, ms: number, properties: unknown = {}): HarnessOutput[] {
  const propertiesJson = Buffer.from(JSON.stringify(properties));
  return event(h, id, { type: EventType.EVENT_TYPE_TRACK, name, propertiesJson }, ms);
}

function request(h: Harness, id: string, key: string, ms: number, more: Partial<SendRequest> = {}): Seen[] {
  const wanted = {
    idempotencyKey: key,
    channel: 'email',
    templateId: 'hello',
    purpose: 'marketing',
    journeyId: 'j',
    nodeId: 'n',
    ...more,
  };
  return seen(
    h.input(id, RecordKind.RECORD_KIND_SEND, SendRequest.encode(SendRequest.fromPartial(wanted)).finish(), ms),
  );
}

function outcome(h: Harness, id: string, key: string, status: DeliveryStatus, ms: number): Seen[] {
  const body = Delivery.encode(Delivery.fromPartial({ idempotencyKey: key, status, reason: 'because' })).finish();
  return seen(h.input(id, RecordKind.RECORD_KIND_DELIVERY, body, ms));
}

interface Seen {
  readonly customerId: string;
  readonly key: string;
  readonly what: string;
  readonly time: number;
  readonly untilMs: number;
}

const OUTCOMES = {
  [DecisionOutcome.DECISION_OUTCOME_SEND]: 'send',
  [DecisionOutcome.DECISION_OUTCOME_DEFER]: 'defer',
  [DecisionOutcome.DECISION_OUTCOME_DROP]: 'drop',
} as Record<number, string>;

function seen(outputs: HarnessOutput[]): Seen[] {
  return outputs.map(({ customerId, kind, body, time }) => {
    if (kind === RecordKind.RECORD_KIND_DECISION) {
      const d = Decision.decode(body);
      return {
        customerId,
        key: d.idempotencyKey,
        what: `${OUTCOMES[d.outcome]} ${d.reason}`,
        time,
        untilMs: d.untilMs,
      };
    }
    expect(kind).toBe(RecordKind.RECORD_KIND_DELIVERY);
    const d = Delivery.decode(body);
    return { customerId, key: d.idempotencyKey, what: `delivery ${d.status}`, time, untilMs: 0 };
  });
}

const what = (outputs: Seen[]) => outputs.map((s) => s.what);
const SENT = ['send ok', `delivery ${DeliveryStatus.DELIVERY_STATUS_INTENT}`];

describe('a request', () => {
  let h: Harness;
  beforeEach(() => {
    h = newHarness();
  });

  it('is sent: decision, intent, and work for the adapter with what it needs', () => {
    identify(h, 'a', NOON, {
      traits: [
        { name: 'hobby', sealed: Buffer.from('s') },
        { name: 'city', json: Buffer.from('"Bonn"') },
      ],
    });
    expect(what(request(h, 'a', 'k1', NOON, { variant: 'B' }))).toEqual(SENT);
    const work = SendWork.decode(h.pending.get('k1')?.bytes ?? Buffer.alloc(0));
    expect(work).toMatchObject({
      templateRevision: 7,
      locale: 'en',
      decidedAtMs: NOON,
      notAfterMs: at('2026-05-05T21:00+08:00'),
    });
    expect(work.request).toMatchObject({ idempotencyKey: 'k1', variant: 'B' });
    expect(work.addressSealed.toString()).toBe('sealed a');
    // The template names `hobby`; `city` is kept for templates to come, but this one does not get it.
    expect(Object.keys(work.traits)).toEqual(['hobby']);
    expect(Object.keys(h.state('a')?.traits ?? {}).sort()).toEqual(['city', 'hobby']);
  });

  it('is answered once, however often it comes', () => {
    identify(h, 'a', NOON);
    request(h, 'a', 'k1', NOON);
    expect(request(h, 'a', 'k1', NOON + 1)).toEqual([]);
    outcome(h, 'a', 'k1', DeliveryStatus.DELIVERY_STATUS_SENT, NOON + 2);
    expect(request(h, 'a', 'k1', NOON + 30 * DAY)).toEqual([]);
    expect(h.pending.size).toBe(0);
  });

  it('is put off at night and sent in the morning', () => {
    const night = at('2026-05-05T22:00+08:00');
    const morning = at('2026-05-06T09:00+08:00');
    identify(h, 'a', NOON);
    expect(request(h, 'a', 'k1', night)).toMatchObject([{ what: 'defer quiet_hours', untilMs: morning }]);
    expect(request(h, 'a', 'k1', night + 1)).toEqual([]);
    expect(h.advance(morning - 1)).toEqual([]);
    expect(seen(h.advance(morning + 5))).toMatchObject([{ what: 'send ok', time: morning }, { what: SENT[1] }]);
    expect(h.state('a')?.deferred).toEqual([]);
  });

  it('is dropped in the morning when the customer unsubscribed in the night', () => {
    const night = at('2026-05-05T22:00+08:00');
    identify(h, 'a', NOON);
    request(h, 'a', 'k1', night);
    track(h, 'a', 'Unsubscribed', night + 1000);
    expect(what(seen(h.advance(night + DAY)))).toEqual(['drop no_consent']);
    expect(h.pending.size).toBe(0);
  });

  it('waits for the morning of the zone the customer has by then', () => {
    const night = at('2026-05-05T22:00+08:00');
    identify(h, 'a', NOON);
    request(h, 'a', 'k1', night);
    identify(h, 'a', night + 1, { zone: 'America/New_York' });
    const [again] = seen(h.advance(at('2026-05-06T09:00+08:00')));
    expect(again).toMatchObject({ what: 'defer quiet_hours', untilMs: at('2026-05-06T09:00-04:00') });
  });

  it('is the third this week: dropped, unless one of the others failed', () => {
    identify(h, 'a', NOON);
    request(h, 'a', 'k1', NOON);
    request(h, 'a', 'k2', NOON);
    expect(what(request(h, 'a', 'k3', NOON))).toEqual(['drop frequency_cap']);
    expect(what(request(h, 'a', 'receipt', NOON, { purpose: 'transactional' }))).toEqual(SENT);
    outcome(h, 'a', 'k1', DeliveryStatus.DELIVERY_STATUS_FAILED, NOON + 1);
    expect(what(request(h, 'a', 'k4', NOON + 2))).toEqual(SENT);
    expect(what(request(h, 'a', 'k5', NOON + 2))).toEqual(['drop frequency_cap']);
    expect(what(request(h, 'a', 'k6', NOON + 7 * DAY))).toEqual(SENT);
  });

  it('without a key is a dead letter', () => {
    expect(request(h, 'a', '', NOON)).toEqual([]);
    expect(h.deadLetters.map((d) => d.reason)).toEqual(['idempotency_key must have 1–256 characters, has 0']);
  });

  it('for somebody nobody knows is dropped, and that is remembered', () => {
    expect(what(request(h, 'x', 'k1', NOON))).toEqual(['drop no_address']);
    expect(h.state('x')?.messages).toMatchObject([
      { idempotencyKey: 'k1', status: MessageStatus.MESSAGE_STATUS_DROPPED },
    ]);
  });

  it('is dropped once its template is deleted', () => {
    identify(h, 'a', NOON);
    h.define({ kind: 'template', id: 'hello', revision: 8, deleted: true, body: new Uint8Array() }, NOON);
    expect(what(request(h, 'a', 'k1', NOON))).toEqual(['drop template_missing']);
  });

  it('keeps state small: 50 messages, 256 keys, and nothing under way is forgotten', () => {
    identify(h, 'a', NOON);
    request(h, 'a', 'first', NOON, { purpose: 'transactional' });
    for (let i = 0; i < 400; i++) request(h, 'a', `k${i}`, NOON, { channel: 'sms' });
    const state = h.state('a');
    expect(state?.messages.length).toBe(50);
    expect(state?.messages[0]?.idempotencyKey).toBe('first');
    expect(state?.decidedKeys.length).toBe(256);
    expect(what(outcome(h, 'a', 'first', DeliveryStatus.DELIVERY_STATUS_SENT, NOON + 1))).toEqual(['delivery 2']);
    for (let i = 0; i < 45; i++) request(h, 'a', `t${i}`, NOON + 2, { purpose: 'transactional' });
    expect(what(request(h, 'a', 't', NOON + 2, { purpose: 'transactional' }))).toEqual(['drop too_many_under_way']);
  });
});

describe('an outcome', () => {
  it('settles an open send once', () => {
    const h = newHarness();
    identify(h, 'a', NOON);
    request(h, 'a', 'k1', NOON);
    expect(what(outcome(h, 'a', 'k1', DeliveryStatus.DELIVERY_STATUS_SENT, NOON + 1))).toEqual(['delivery 2']);
    expect(outcome(h, 'a', 'k1', DeliveryStatus.DELIVERY_STATUS_UNKNOWN, NOON + 2)).toEqual([]);
    expect(outcome(h, 'a', 'never heard of', DeliveryStatus.DELIVERY_STATUS_SENT, NOON + 3)).toEqual([]);
    expect(h.pending.size).toBe(0);
    expect(h.state('a')?.messages).toMatchObject([
      { status: MessageStatus.MESSAGE_STATUS_SENT, settledAtMs: NOON + 1 },
    ]);
  });
});

describe('events', () => {
  it('leaves no state for what does not matter', () => {
    const h = newHarness();
    event(h, 'a', { type: EventType.EVENT_TYPE_PAGE, name: 'Unsubscribed' }, NOON);
    track(h, 'a', 'Product Viewed', NOON);
    event(
      h,
      'a',
      {
        type: EventType.EVENT_TYPE_IDENTIFY,
        traits: [{ name: 'shoe_size', json: Buffer.from('44'), sealed: Buffer.alloc(0) }],
      },
      NOON,
    );
    expect(h.state('a')).toBeUndefined();
  });

  it('keeps no address in the clear', () => {
    const h = newHarness();
    event(
      h,
      'a',
      {
        type: EventType.EVENT_TYPE_IDENTIFY,
        traits: [{ name: 'email', json: Buffer.from('"a@b.c"'), sealed: Buffer.alloc(0) }],
      },
      NOON,
    );
    expect(h.state('a')).toBeUndefined();
  });

  it('a hard bounce stops messages to that address, a soft one none, a new address starts over; a complaint is for good', () => {
    const h = newHarness();
    identify(h, 'a', NOON);
    const next = (key: string) => what(request(h, 'a', key, h.now, { purpose: 'transactional' }))[0];
    track(h, 'a', 'Email Bounced', NOON + 1, { bounce_type: 'Soft' });
    expect(next('k1')).toBe('send ok');
    track(h, 'a', 'Email Bounced', NOON + 2);
    expect(next('k2')).toBe('drop suppressed');
    identify(h, 'a', NOON + 3, { address: 'other' });
    expect(next('k3')).toBe('send ok');
    track(h, 'a', 'Email Complained', NOON + 4);
    identify(h, 'a', NOON + 5, { address: 'third' });
    expect(next('k4')).toBe('drop suppressed');
  });

  it('refuses what it cannot understand about consent', () => {
    const h = newHarness();
    track(h, 'a', 'Consent Given', NOON, { channel: { $ne: 1 } });
    track(h, 'a', 'Consent Given', NOON, [1]);
    expect(h.deadLetters.length).toBe(2);
    expect(h.state('a')).toBeUndefined();
  });

  it('applies consent by event time, whatever the order of arrival', () => {
    const h = newHarness();
    identify(h, 'a', NOON);
    track(h, 'a', 'Consent Withdrawn', NOON + 10);
    event(h, 'a', { type: EventType.EVENT_TYPE_TRACK, name: 'Consent Given', timeMs: NOON + 5 }, NOON + 20);
    expect(what(request(h, 'a', 'k', NOON + 30))).toEqual(['drop no_consent']);
  });
});

describe('a merge', () => {
  it('adds up caps, takes the stricter wish and the later address, and goes on with what waits', () => {
    const h = newHarness();
    identify(h, 'old', NOON);
    identify(h, 'new', NOON + 1);
    request(h, 'old', 'k1', NOON + 2);
    request(h, 'new', 'k2', NOON + 2);
    outcome(h, 'old', 'k1', DeliveryStatus.DELIVERY_STATUS_SENT, NOON + 3);
    h.merge('new', 'old', NOON + 4);
    expect(what(request(h, 'old', 'k3', NOON + 5))).toEqual(['drop frequency_cap']);
    expect(h.state('old')?.email?.sealed.toString()).toBe('sealed new');
    // The outcome of what the merged one was being sent finds its way, and its request never acts again.
    const settled = outcome(h, 'new', 'k2', DeliveryStatus.DELIVERY_STATUS_SENT, NOON + 6);
    expect(settled).toMatchObject([{ customerId: 'old', key: 'k2', what: 'delivery 2' }]);
    expect(request(h, 'new', 'k2', NOON + 7)).toEqual([]);
  });

  it('keeps a withdrawal of either, and deferred requests of both', () => {
    const h = newHarness();
    const night = at('2026-05-05T22:00+08:00');
    identify(h, 'old', NOON);
    identify(h, 'new', NOON);
    track(h, 'new', 'Consent Withdrawn', NOON + 1);
    track(h, 'old', 'Consent Given', NOON + 2);
    request(h, 'old', 'k1', night);
    h.merge('new', 'old', night + 1);
    expect(what(seen(h.advance(night + DAY)))).toEqual(['drop no_consent']);
    const both = newHarness();
    identify(both, 'old', NOON);
    identify(both, 'new', NOON);
    request(both, 'new', 'k1', night);
    both.merge('new', 'old', night + 1);
    expect(seen(both.advance(night + DAY))).toMatchObject([{ customerId: 'old', what: 'send ok' }, {}]);
  });
});

describe('whatever happens', () => {
  type Move = { kind: 'ask' | 'fail' | 'settle' | 'move'; hours: number; zone: string };
  const ZONES = ['Asia/Shanghai', 'America/New_York', 'Europe/Berlin'];

  it('no marketing message is sent in quiet hours or beyond the cap, in three zones over changes of clocks', () => {
    const move = fc.record<Move>({
      kind: fc.constantFrom('ask', 'ask', 'ask', 'ask', 'fail', 'settle', 'move'),
      hours: fc.double({ min: 0, max: 40, noNaN: true }),
      zone: fc.constantFrom(...ZONES),
    });
    // The weeks around the changes of clocks of 2026.
    const begin = fc
      .constantFrom('2026-03-05T00:00Z', '2026-03-26T00:00Z', '2026-10-22T00:00Z', '2026-10-29T00:00Z')
      .map(at);
    fc.assert(
      fc.property(
        begin,
        fc.constantFrom(...ZONES),
        fc.array(move, { minLength: 5, maxLength: 40 }),
        (start, firstZone, moves) => {
          const h = newHarness();
          let now = start;
          let zone = firstZone;
          const sends: { key: string; timeMs: number; zone: string }[] = [];
          const failed = new Set<string>();
          const watch = (outputs: Seen[]) => {
            for (const s of outputs) if (s.what === 'send ok') sends.push({ key: s.key, timeMs: s.time, zone });
          };
          identify(h, 'a', now, { zone });
          moves.forEach((m, i) => {
            now += Math.round(m.hours * 3_600_000);
            watch(seen(h.advance(now)));
            const open = [...h.pending.keys()][0];
            if (m.kind === 'move') {
              zone = m.zone;
              identify(h, 'a', now, { zone });
            } else if (m.kind === 'ask') watch(request(h, 'a', `k${i}`, now));
            else if (open && m.kind === 'settle') outcome(h, 'a', open, DeliveryStatus.DELIVERY_STATUS_SENT, now);
            else if (open) {
              outcome(h, 'a', open, DeliveryStatus.DELIVERY_STATUS_FAILED, now);
              failed.add(open);
            }
          });
          watch(seen(h.advance(now + 3 * DAY)));
          for (const s of sends) expect(isQuiet(s.timeMs, s.zone, DEFAULT_POLICY.quiet)).toBe(false);
          expect(new Set(sends.map((s) => s.key)).size).toBe(sends.length);
          const arrived = sends.filter((s) => !failed.has(s.key));
          for (const s of arrived) {
            const others = arrived
              .filter((o) => o.key !== s.key && o.timeMs <= s.timeMs)
              .map((o) => ({ keyHash: 0, timeMs: o.timeMs, channel: 'email', category: '' }));
            const before = others.filter((o) => o.timeMs < s.timeMs);
            const wanted = { channel: 'email', category: '', zone: s.zone };
            expect(capReached(before, wanted, s.timeMs, DEFAULT_POLICY)).toBe(false);
            expect(others.filter((o) => o.timeMs > s.timeMs - 7 * DAY).length).toBeLessThanOrEqual(1);
          }
          return CustomerState.encode(h.state('a') ?? CustomerState.fromPartial({})).finish().length < 16_000;
        },
      ),
      { numRuns: 150 },
    );
  });
});
