import { beforeEach, describe, expect, it } from 'vitest';
import {
  Decision,
  DecisionOutcome,
  Delivery,
  DeliveryStatus,
  EnrolmentsMoved,
  SendRequest,
} from '#gen/recur/log/v1/changes.ts';
import { Event, EventType } from '#gen/recur/log/v1/event.ts';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import { MessageStatus } from '#gen/recur/messaging/v1/state.ts';
import { Template } from '#gen/recur/messaging/v1/template.ts';
import { type HarnessOutput, ProcessorHarness } from '#lib/stream/testing.ts';
import { messagingSpec } from './stage.ts';

const NOON = Date.parse('2026-05-05T12:00+08:00');
const NIGHT = Date.parse('2026-05-05T22:00+08:00');
const MORNING = Date.parse('2026-05-06T12:00+08:00');

type Harness = ReturnType<typeof newHarness>;

function newHarness() {
  const harness = new ProcessorHarness(messagingSpec({ shopTimeZone: 'Asia/Shanghai' }));
  const template = Template.fromPartial({ id: 'hello', channel: 'email', content: { subject: 'Hi', text: 'Hi' } });
  const body = Template.encode(template).finish();
  harness.define({ kind: 'template', id: 'hello', revision: 1, deleted: false, body }, 1000);
  return harness;
}

function event(h: Harness, id: string, e: Partial<Event>, ms: number): void {
  const body = Event.encode(Event.fromPartial({ messageId: `${id}-${ms}`, timeMs: ms, ...e })).finish();
  h.input(id, RecordKind.RECORD_KIND_EVENT, body, ms);
}

function identify(h: Harness, id: string, address: string, ms: number): void {
  const traits = [{ name: 'email', json: Buffer.alloc(0), sealed: Buffer.from(`sealed ${address}`) }];
  const identifiers = [{ type: 'email', hash: Buffer.from(address), role: 0 }];
  event(h, id, { type: EventType.EVENT_TYPE_IDENTIFY, traits, identifiers } as Partial<Event>, ms);
}

const track = (h: Harness, id: string, name: string, ms: number) =>
  event(h, id, { type: EventType.EVENT_TYPE_TRACK, name }, ms);

/** What is decided about one more marketing e-mail: empty when its key is known. */
function ask(h: Harness, id: string, key: string, ms: number, enrolmentId = ''): string[] {
  const wanted = { idempotencyKey: key, channel: 'email', templateId: 'hello', purpose: 'marketing', enrolmentId };
  const body = SendRequest.encode(SendRequest.fromPartial(wanted)).finish();
  return decisions(h.input(id, RecordKind.RECORD_KIND_SEND, body, ms));
}

function decisions(outputs: HarnessOutput[]): string[] {
  return outputs.flatMap(({ customerId, kind, body }) => {
    if (kind !== RecordKind.RECORD_KIND_DECISION) return [];
    const { outcome, reason } = Decision.decode(body);
    const send = outcome === DecisionOutcome.DECISION_OUTCOME_SEND;
    return [`${customerId} ${send ? 'sent' : reason}`];
  });
}

function settle(h: Harness, id: string, key: string): void {
  const status = DeliveryStatus.DELIVERY_STATUS_SENT;
  const body = Delivery.encode(Delivery.fromPartial({ idempotencyKey: key, status })).finish();
  h.input(id, RecordKind.RECORD_KIND_DELIVERY, body, h.now);
}

/** As the stages do it: events go back to whose they are, then journey tells whose enrolments departed. */
function takeBack(h: Harness, enrolmentIds: string[], ofNew: (messageId: string) => boolean): HarnessOutput[] {
  const outputs = h.unmerge('old', (e) => (ofNew(Event.decode(e.body).messageId) ? 'new' : 'old'));
  const body = EnrolmentsMoved.encode({ customerId: 'new', enrolmentIds }).finish();
  outputs.push(...h.input('old', RecordKind.RECORD_KIND_ENROLMENTS_MOVED, body, h.now));
  return outputs;
}

const ofNew = (messageId: string) => messageId.startsWith('new');

describe('a merge taken back', () => {
  let h: Harness;
  beforeEach(() => {
    h = newHarness();
    identify(h, 'old', 'old', NOON);
    identify(h, 'new', 'new', NOON + 1);
  });

  it('gives each its own address and wishes, those said since to whose they are', () => {
    track(h, 'new', 'Consent Withdrawn', NOON + 2);
    h.merge('new', 'old', NOON + 3);
    expect(ask(h, 'old', 'k1', NOON + 4)).toEqual(['old no_consent']);
    expect(h.state('old')?.email?.sealed.toString()).toBe('sealed new');
    // While one, the one said yes under a new address, and a bounce came for the other.
    identify(h, 'old', 'old2', NOON + 5);
    track(h, 'old', 'Email Bounced', NOON + 6);
    const bounce = `old-${NOON + 6}`;
    expect(takeBack(h, [], (id) => ofNew(id) || id === bounce)).toEqual([]);
    expect(h.state('old')).toMatchObject({ consents: [], suppressions: [] });
    expect(h.state('old')?.email?.sealed.toString()).toBe('sealed old2');
    expect(h.state('new')?.email?.sealed.toString()).toBe('sealed new');
    expect(h.state('new')?.suppressions).toMatchObject([{ reason: 'hard_bounce' }]);
    expect(h.state('new')?.consents).toMatchObject([{ given: false, purpose: 'marketing' }]);
    expect(ask(h, 'old', 'k2', NOON + 7)).toEqual(['old sent']);
  });

  it('gives each its own share of the cap, and no step is sent again by either', () => {
    ask(h, 'old', 'k1', NOON + 2, 'e-old');
    ask(h, 'new', 'k2', NOON + 2, 'e-new');
    settle(h, 'old', 'k1');
    settle(h, 'new', 'k2');
    h.merge('new', 'old', NOON + 3);
    expect(ask(h, 'old', 'k3', NOON + 4)).toEqual(['old frequency_cap']);
    expect(takeBack(h, ['e-new'], ofNew)).toEqual([]);
    for (const id of ['old', 'new']) {
      for (const key of ['k1', 'k2', 'k3']) expect(ask(h, id, key, NOON + 5)).toEqual([]);
      expect(ask(h, id, `${id}-2`, NOON + 6)).toEqual([`${id} sent`]);
      expect(ask(h, id, `${id}-3`, NOON + 7)).toEqual([`${id} frequency_cap`]);
    }
  });

  it('leaves what is being sent for the one customer until its outcome is back', () => {
    h.merge('new', 'old', NOON + 2);
    ask(h, 'old', 'k2', NOON + 3, 'e-new');
    expect(takeBack(h, ['e-new'], ofNew)).toEqual([]);
    expect([...h.pending.values()].map((work) => work.customerId)).toEqual(['old']);
    settle(h, 'old', 'k2');
    expect(h.pending.size).toBe(0);
    expect(h.state('old')?.messages).toMatchObject([
      { idempotencyKey: 'k2', status: MessageStatus.MESSAGE_STATUS_SENT },
    ]);
    expect(ask(h, 'new', 'k2', NOON + 4)).toEqual([]);
  });

  it('puts off for each what was put off for its journey, decided by its own wishes', () => {
    ask(h, 'old', 'k1', NIGHT, 'e-old');
    ask(h, 'new', 'k2', NIGHT, 'e-new');
    h.merge('new', 'old', NIGHT + 1);
    takeBack(h, ['e-new'], ofNew);
    track(h, 'new', 'Consent Withdrawn', NIGHT + 2);
    expect(decisions(h.advance(MORNING)).sort()).toEqual(['new no_consent', 'old sent']);
  });
});
