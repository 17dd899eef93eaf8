import { describe, expect, it } from 'vitest';
import { Decision, Delivery, DeliveryStatus, SendRequest } from '#gen/recur/log/v1/changes.ts';
import { Event, EventType } from '#gen/recur/log/v1/event.ts';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import { Template } from '#gen/recur/messaging/v1/template.ts';
import { ProcessorHarness } from '#lib/stream/testing.ts';
import { messagingSpec } from '../stage.ts';
import { ADDRESS_GONE } from './gone.ts';

const NOON = Date.parse('2026-05-05T12:00+08:00');

class Shop {
  readonly harness = new ProcessorHarness(
    messagingSpec({ shopTimeZone: 'Asia/Shanghai', channels: new Set(['fcm', 'apns']) }),
  );

  constructor() {
    for (const channel of ['fcm', 'apns']) {
      const body = Template.encode(Template.fromPartial({ id: channel, channel })).finish();
      this.harness.define({ kind: 'template', id: channel, revision: 1, deleted: false, body }, 1000);
    }
  }

  token(kind: string, sealed: string, ms: number): void {
    const traits = [{ name: kind, json: Buffer.alloc(0), sealed: Buffer.from(sealed.padStart(40, '.')) }];
    const event = Event.fromPartial({ type: EventType.EVENT_TYPE_IDENTIFY, messageId: `m${ms}`, timeMs: ms, traits });
    this.harness.input('a', RecordKind.RECORD_KIND_EVENT, Event.encode(event).finish(), ms);
  }

  ask(key: string, channel: string, ms: number): string[] {
    const wanted = { idempotencyKey: key, channel, templateId: channel, purpose: 'transactional' };
    const body = SendRequest.encode(SendRequest.fromPartial(wanted)).finish();
    return this.harness.input('a', RecordKind.RECORD_KIND_SEND, body, ms).flatMap(({ kind, body: bytes }) => {
      return kind === RecordKind.RECORD_KIND_DECISION ? [Decision.decode(bytes).reason] : [];
    });
  }

  refused(key: string, reason: string, ms: number): void {
    const status = DeliveryStatus.DELIVERY_STATUS_FAILED;
    const body = Delivery.encode(Delivery.fromPartial({ idempotencyKey: key, status, reason })).finish();
    this.harness.input('a', RecordKind.RECORD_KIND_DELIVERY, body, ms);
  }
}

describe('a device that is gone', () => {
  it('gets nothing more, until the app tells a token again; other channels do', () => {
    const shop = new Shop();
    shop.token('fcm_token', 'one', NOON);
    shop.token('apns_token', 'one', NOON + 1);
    expect(shop.ask('k1', 'fcm', NOON + 10)).toEqual(['ok']);
    shop.refused('k1', `fcm UNREGISTERED${ADDRESS_GONE}`, NOON + 20);
    expect(shop.ask('k2', 'fcm', NOON + 30)).toEqual(['suppressed']);
    expect(shop.ask('k3', 'apns', NOON + 40)).toEqual(['ok']);
    shop.token('fcm_token', 'two', NOON + 50);
    expect(shop.ask('k4', 'fcm', NOON + 60)).toEqual(['ok']);
  });

  it('says nothing about a token that came after the message was decided, and other refusals about none', () => {
    const shop = new Shop();
    shop.token('fcm_token', 'one', NOON);
    shop.ask('k1', 'fcm', NOON + 10);
    shop.token('fcm_token', 'two', NOON + 15);
    shop.refused('k1', `fcm UNREGISTERED${ADDRESS_GONE}`, NOON + 20);
    expect(shop.ask('k2', 'fcm', NOON + 30)).toEqual(['ok']);
    shop.refused('k2', 'fcm INVALID_ARGUMENT', NOON + 40);
    expect(shop.ask('k3', 'fcm', NOON + 50)).toEqual(['ok']);
  });
});
