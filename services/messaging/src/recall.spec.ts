import { describe, expect, it } from 'vitest';
import {
  Decision,
  DecisionOutcome,
  Delivery,
  DeliveryStatus,
  SendRequest,
  Step,
  StepAction,
} from '#gen/recur/log/v1/changes.ts';
import { Event, EventType } from '#gen/recur/log/v1/event.ts';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import { MessageStatus } from '#gen/recur/messaging/v1/state.ts';
import { Template } from '#gen/recur/messaging/v1/template.ts';
import { type HarnessOutput, ProcessorHarness } from '#lib/stream/testing.ts';
import fc from '#tools/testkit/fast-check.ts';
import { explain } from './core/explain.ts';
import { messagingSpec } from './stage.ts';

const HOUR = 3_600_000;
const NIGHT = Date.parse('2026-05-05T22:00+08:00');
const NOON = Date.parse('2026-05-05T12:00+08:00');

class Shop {
  readonly harness = new ProcessorHarness(
    messagingSpec({ shopTimeZone: 'Asia/Shanghai', channels: new Set(['email', 'sms']) }),
  );

  constructor() {
    for (const channel of ['email', 'sms']) {
      const body = Template.encode(Template.fromPartial({ id: channel, channel })).finish();
      this.harness.define({ kind: 'template', id: channel, revision: 1, deleted: false, body }, 1000);
    }
    const traits = ['email', 'phone'].map((name) => ({ name, json: Buffer.alloc(0), sealed: Buffer.from(name) }));
    const event = Event.fromPartial({ type: EventType.EVENT_TYPE_IDENTIFY, messageId: 'm', timeMs: 2000, traits });
    this.harness.input('a', RecordKind.RECORD_KIND_EVENT, Event.encode(event).finish(), 2000);
  }

  ask(key: string, enrolmentId: string, ms: number, more: Partial<SendRequest> = {}): string[] {
    const wanted = { idempotencyKey: key, enrolmentId, channel: 'email', templateId: 'email', purpose: 'marketing' };
    const body = SendRequest.encode(SendRequest.fromPartial({ ...wanted, ...more })).finish();
    return decisions(this.harness.input('a', RecordKind.RECORD_KIND_SEND, body, ms));
  }

  step(enrolmentId: string, action: StepAction, ms: number): string[] {
    const body = Step.encode(Step.fromPartial({ enrolmentId, action, reason: 'exit_event: Order Refunded' })).finish();
    return decisions(this.harness.input('a', RecordKind.RECORD_KIND_STEP, body, ms));
  }

  outcome(key: string, status: DeliveryStatus, ms: number): string[] {
    const body = Delivery.encode(Delivery.fromPartial({ idempotencyKey: key, status, reason: 'because' })).finish();
    return decisions(this.harness.input('a', RecordKind.RECORD_KIND_DELIVERY, body, ms));
  }

  get state() {
    const state = this.harness.state('a');
    if (!state) throw new Error('nothing is known');
    return state;
  }
}

function decisions(outputs: HarnessOutput[]): string[] {
  return outputs.flatMap(({ kind, body }) => {
    if (kind !== RecordKind.RECORD_KIND_DECISION) return [];
    const { idempotencyKey, outcome, reason } = Decision.decode(body);
    return [`${idempotencyKey} ${outcome === DecisionOutcome.DECISION_OUTCOME_SEND ? 'send' : reason}`];
  });
}

const { STEP_ACTION_RECALLED: RECALLED, STEP_ACTION_EXITED: EXITED } = StepAction;

describe('a message that waits', () => {
  it('is not sent when its journey takes it back, with the reason; those of other entries are', () => {
    const shop = new Shop();
    expect(shop.ask('k1', 'e1', NIGHT)).toEqual(['k1 quiet_hours']);
    expect(shop.ask('k2', 'e2', NIGHT)).toEqual(['k2 quiet_hours']);
    expect(shop.step('e1', EXITED, NIGHT + 1)).toEqual([]);
    expect(shop.step('e1', RECALLED, NIGHT + 2)).toEqual(['k1 recalled: exit_event: Order Refunded']);
    expect(shop.step('e1', RECALLED, NIGHT + 3)).toEqual([]);
    expect(decisions(shop.harness.advance(NIGHT + 24 * HOUR))).toEqual(['k2 send']);
    expect(shop.state.messages.map(({ idempotencyKey, status }) => [idempotencyKey, status])).toEqual([
      ['k1', MessageStatus.MESSAGE_STATUS_DROPPED],
      ['k2', MessageStatus.MESSAGE_STATUS_SENDING],
    ]);
    expect(explain(shop.state, '').map(({ text }) => text)).toContain(
      'Not sent: the journey took it back (exit_event: Order Refunded).',
    );
    // Asked for again after a crash: decided already.
    expect(shop.ask('k1', 'e1', NIGHT + 25 * HOUR)).toEqual([]);
  });

  it('what is being sent stays, but no other channel is tried for it', () => {
    const fallbacks = [{ channel: 'sms', templateId: 'sms' }];
    const { DELIVERY_STATUS_FAILED: FAILED } = DeliveryStatus;
    const kept = new Shop();
    kept.ask('k1', 'e1', NOON, { fallbacks });
    expect(kept.outcome('k1', FAILED, NOON + 1)).toEqual(['k1/f send']);
    const recalled = new Shop();
    recalled.ask('k1', 'e1', NOON, { fallbacks });
    expect(recalled.step('e1', RECALLED, NOON + 1)).toEqual([]);
    expect(recalled.outcome('k1', FAILED, NOON + 2)).toEqual([]);
    expect(recalled.state.messages[0]?.status).toBe(MessageStatus.MESSAGE_STATUS_FAILED);
  });

  it('never goes out after it was recalled, and nothing else is lost, whatever the order', () => {
    const enrolment = fc.constantFrom('e1', 'e2', 'e3');
    const act = fc.record({ enrolment, recall: fc.boolean(), minutes: fc.integer({ min: 1, max: 240 }) });
    fc.assert(
      fc.property(fc.array(act, { maxLength: 25 }), (acts) => {
        const shop = new Shop();
        const asked = new Map<string, string>();
        const recalled = new Set<string>();
        const told: string[] = [];
        let now = NIGHT;
        for (const [i, { enrolment: id, recall, minutes }] of acts.entries()) {
          now += minutes * 60_000;
          told.push(...decisions(shop.harness.advance(now)));
          if (recall) {
            const lines = shop.step(id, RECALLED, now);
            for (const line of lines) recalled.add(line.split(' ', 1)[0] as string);
            // Exactly what waited of this entry.
            expect(lines.every((line) => asked.get(line.split(' ', 1)[0] as string) === id)).toBe(true);
            expect(shop.state.deferred.some(({ request }) => request?.enrolmentId === id)).toBe(false);
          } else {
            asked.set(`k${i}`, id);
            told.push(...shop.ask(`k${i}`, id, now));
          }
        }
        told.push(...decisions(shop.harness.advance(now + 48 * HOUR)));
        const final = new Map(told.map((line) => line.split(' ') as [string, string]));
        for (const key of recalled) expect(final.get(key)).toBe('quiet_hours');
        for (const key of asked.keys())
          if (!recalled.has(key)) expect(['send', 'frequency_cap']).toContain(final.get(key));
        expect(shop.state.deferred).toEqual([]);
      }),
      { numRuns: 60 },
    );
  });
});
