import type { Event } from '#gen/recur/log/v1/event.ts';
import type { CustomerState } from '#gen/recur/messaging/v1/state.ts';
import { CHANNELS } from '#lib/channels/channels.ts';
import { addressFor } from './channels.ts';
import { ANY, enterConsent, enterSuppression } from './consent.ts';
import { addressHash, objectOf } from './contact.ts';
import type { EventInterest } from './event-scan.ts';

const NAME = /^[a-z][a-z0-9_]{0,31}$/;
const SOFT_BOUNCES = new Set(['soft', 'transient', 'temporary', 'block', 'blocked']);
const EMPTY = Buffer.alloc(0);

/** Raised when an event about consent or delivery says nothing that can be understood. */
export class UnusableEventError extends Error {}

/** @throws UnusableEventError */
export function propertiesOf(event: Event): Record<string, unknown> {
  const properties = event.propertiesJson.length > 0 ? objectOf(event.propertiesJson) : {};
  if (!properties) throw new UnusableEventError('properties_json is not a JSON object');
  return properties;
}

/**
 * What customers and providers said about receiving messages. Properties: `channel` (default: every channel; for
 * Unsubscribed the channel it came through, e-mail) and `purpose` (default marketing; "all" for every purpose).
 * Returns whether anything changed.
 */
export function applyWish(
  state: CustomerState,
  interest: EventInterest,
  event: Event,
  properties: Record<string, unknown>,
): boolean {
  const timeMs = event.timeMs;
  switch (interest) {
    case 'consent_given':
    case 'consent_withdrawn': {
      const channel = wordOf(properties, 'channel', ANY);
      const purpose = wordOf(properties, 'purpose', 'marketing');
      return enterConsent(state.consents, { channel, purpose, given: interest === 'consent_given', timeMs });
    }
    case 'unsubscribed': {
      const channel = wordOf(properties, 'channel', 'email');
      return enterConsent(state.consents, { channel, purpose: 'marketing', given: false, timeMs });
    }
    case 'bounced': {
      const type = properties.bounce_type ?? properties.type ?? 'hard';
      if (typeof type === 'string' && SOFT_BOUNCES.has(type.toLowerCase())) return false;
      const channel = wordOf(properties, 'channel', 'email');
      const hash =
        addressHash(event, CHANNELS.get(channel)?.address ?? '') ?? addressFor(state, channel)?.hash ?? EMPTY;
      return enterSuppression(state.suppressions, { channel, reason: 'hard_bounce', addressHash: hash, timeMs });
    }
    case 'complained':
      return enterSuppression(state.suppressions, {
        channel: wordOf(properties, 'channel', 'email'),
        reason: 'complaint',
        addressHash: EMPTY,
        timeMs,
      });
    default:
      return false;
  }
}

function wordOf(properties: Record<string, unknown>, key: string, otherwise: string): string {
  const value = properties[key];
  if (value === undefined || value === null || value === '') return otherwise;
  if (value === ANY || value === 'all') return ANY;
  if (typeof value !== 'string' || !NAME.test(value)) {
    throw new UnusableEventError(`properties.${key} must be a lower-case word of at most 32 letters, digits and "_"`);
  }
  return value;
}
