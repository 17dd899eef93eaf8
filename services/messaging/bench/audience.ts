import type { SendRequest } from '#gen/recur/log/v1/changes.ts';
import { Event, EventType } from '#gen/recur/log/v1/event.ts';
import { CapWindow, MessagingSettings, Template } from '#gen/recur/messaging/v1/template.ts';
import type { ActiveDefinition } from '#lib/stream/processor.ts';
import { SETTINGS_KIND, TEMPLATE_KIND } from '../src/core/definitions.ts';
import { SETTINGS_ID, withDefaults } from '../src/core/settings.ts';

/** What becomes of a request to a customer on every day but the first. */
export type Fate = 'ok' | 'suppressed' | 'no_address' | 'no_consent' | 'quiet_hours' | 'frequency_cap';

/** Of fifty customers: most are written to, which is also what takes most. */
const OF_FIFTY: readonly Fate[] = [
  ...(['suppressed', 'no_address', 'no_consent', 'quiet_hours', 'frequency_cap', 'frequency_cap'] as const),
];

export const fateOf = (i: number): Fate => OF_FIFTY[i % 50] ?? 'ok';

/** As identity makes them: when the customer came, half a minute after the one before, and what no two have in common. */
export function idOf(i: number): string {
  const known = ids[i];
  if (known !== undefined) return known;
  const scattered = [1, 2, 3].map((n) => inBase32(Math.imul(i + n, 0x9e3779b1 + 2 * n) >>> 0, 5)).join('');
  const id = `${inBase32(MOMENT - 100 * 86_400_000 + i * 30_000, 10)}${scattered}0`;
  ids[i] = id;
  return id;
}

const ids: string[] = [];

function inBase32(value: number, digits: number): string {
  let text = '';
  for (let rest = value; text.length < digits; rest = Math.floor(rest / 32)) text = `${DIGITS[rest % 32]}${text}`;
  return text;
}

const DIGITS = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

/** Early afternoon in Shanghai and Tokyo, half past nine in the evening in Los Angeles, where it is quiet by then. */
export const MOMENT = Date.parse('2026-03-02T05:30Z');

export const DEFINITIONS: readonly ActiveDefinition[] = [
  definition(SETTINGS_KIND, SETTINGS_ID, MessagingSettings.encode(settings()).finish()),
  definition(TEMPLATE_KIND, 'offer', template('offer', 'promotion')),
  definition(TEMPLATE_KIND, 'digest', template('digest', 'newsletter')),
];

/** Three caps that count for every message, and one that stops the newsletter from its second time on. */
function settings(): MessagingSettings {
  const { CAP_WINDOW_ROLLING: rolling, CAP_WINDOW_CALENDAR_DAY: day } = CapWindow;
  return withDefaults({
    ...{ capMessages: 30, capDays: 31 },
    caps: [
      { channel: 'email', category: '', messages: 5, window: day, hours: 0 },
      { channel: '', category: 'promotion', messages: 20, window: rolling, hours: 168 },
      { channel: '', category: 'newsletter', messages: 1, window: rolling, hours: 744 },
    ],
  });
}

function template(id: string, category: string): Uint8Array {
  const content = { subject: 'Hello {{ customer.first_name }}', text: 'Have a look: {{ journey.event }}' };
  return Template.encode(Template.fromPartial({ id, name: id, channel: 'email', category, content })).finish();
}

function definition(kind: string, id: string, body: Uint8Array): ActiveDefinition {
  return { kind, id, revision: 1, deleted: false, body };
}

/** All that messaging knows of a customer before the first request. */
export function pastOf(i: number): Uint8Array[] {
  const fate = fateOf(i);
  const zone = fate === 'quiet_hours' ? 'America/Los_Angeles' : i % 10 === 9 ? 'Asia/Tokyo' : 'Asia/Shanghai';
  const none = Buffer.alloc(0);
  const address = { name: 'email', json: none, sealed: Buffer.alloc(60, i) };
  const traits = [
    ...(fate === 'no_address' ? [] : [address]),
    { name: 'first_name', json: none, sealed: Buffer.alloc(40, i) },
    // Of a fifth only the shop's zone is known.
    ...(i % 5 === 4 && i % 10 !== 9
      ? []
      : [{ name: 'timezone', json: Buffer.from(JSON.stringify(zone)), sealed: none }]),
  ];
  const identify = event({ type: EventType.EVENT_TYPE_IDENTIFY, traits });
  const consent = track('Consent Given', { channel: 'email', purpose: 'marketing' });
  if (fate === 'no_consent') return [identify, consent, track('Unsubscribed', {})];
  return fate === 'suppressed' ? [identify, consent, track('Email Bounced', {})] : [identify, consent];
}

/** What brings a customer into a journey: an event that messaging looks at and lets go. */
export const cause = (): Uint8Array => track('Product Viewed', { product_id: 'p1', category: 'tea', price: 79.9 });

export function requestOf(i: number, day: number): SendRequest {
  return {
    ...{
      idempotencyKey: `0f3c9a51d2e84b7796${String(i).padStart(10, '0')}${day}`,
      journeyId: 'spring_offer',
      version: 3,
    },
    ...{ enrolmentId: `7d20b1e6a4f34c0d${String(i).padStart(10, '0')}${day}`, nodeId: 'tell', channel: 'email' },
    ...{
      templateId: fateOf(i) === 'frequency_cap' ? 'digest' : 'offer',
      purpose: 'marketing',
      variant: '',
      fallbacks: [],
    },
    variablesJson: Buffer.from(
      '{"event":"Product Viewed","properties":{"product_id":"p1","category":"tea","price":79.9}}',
    ),
  };
}

const track = (name: string, properties: object): Uint8Array =>
  event({ type: EventType.EVENT_TYPE_TRACK, name, propertiesJson: Buffer.from(JSON.stringify(properties)) });

function event(partial: Partial<Event>): Uint8Array {
  const at = { timeMs: MOMENT - 1_000, source: 'web' };
  return Event.encode(
    Event.fromPartial({ messageId: '0192f0c1-5c1e-7b7e-8d2c-000000000000', ...at, ...partial }),
  ).finish();
}
