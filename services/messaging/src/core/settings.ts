import { CapWindow, ConsentModel, type FrequencyCap, MessagingSettings } from '#gen/recur/messaging/v1/template.ts';
import { CHANNEL_NAMES, CHANNELS } from '#lib/channels/channels.ts';
import type { Cap } from './frequency-cap.ts';
import { headerProblem, isEmailAddress } from './header.ts';
import { isLocale } from './locale.ts';
import type { QuietHours } from './quiet-hours.ts';

export const SETTINGS_ID = 'default';
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const MAX_CAPS = 20;
export const CATEGORY = /^[a-z][a-z0-9_-]{0,31}$/;
const TIME_OF_DAY = /^([01]\d|2[0-3]):([0-5]\d)$/;

/** Settings as decisions need them. */
export interface Policy {
  readonly quiet: QuietHours;
  /** All of them hold; the first is that of all channels together. */
  readonly caps: readonly Cap[];
  /** Marketing needs a given consent. */
  readonly optIn: boolean;
  readonly defaultLocale: string;
}

export interface Violation {
  readonly field: string;
  readonly description: string;
}

/** Settings with every field that has a default filled in. */
export function withDefaults(given: Partial<MessagingSettings>): MessagingSettings {
  const s = MessagingSettings.fromPartial(given);
  return {
    ...s,
    quietStart: s.quietStart || '21:00',
    quietEnd: s.quietEnd || '09:00',
    capMessages: s.capMessages || 2,
    capDays: s.capDays || 7,
    consentModel: s.consentModel || ConsentModel.CONSENT_MODEL_OPT_OUT,
    defaultLocale: s.defaultLocale || 'en',
  };
}

/** @throws when a time of day is not one; `settingsViolations` tells beforehand. */
export function policyOf(settings: MessagingSettings): Policy {
  return {
    quiet: { start: minuteOf(settings.quietStart), end: minuteOf(settings.quietEnd) },
    caps: [overall(settings), ...settings.caps.map(capOf)],
    optIn: settings.consentModel === ConsentModel.CONSENT_MODEL_OPT_IN,
    defaultLocale: settings.defaultLocale,
  };
}

function overall({ capMessages, capDays }: MessagingSettings): Cap {
  return { channel: '', category: '', messages: capMessages, window: { rollingMs: capDays * DAY_MS } };
}

const CALENDAR: Partial<Record<CapWindow, 'day' | 'week' | 'month'>> = {
  [CapWindow.CAP_WINDOW_CALENDAR_DAY]: 'day',
  [CapWindow.CAP_WINDOW_CALENDAR_WEEK]: 'week',
  [CapWindow.CAP_WINDOW_CALENDAR_MONTH]: 'month',
};

function capOf({ channel, category, messages, window, hours }: FrequencyCap): Cap {
  const calendar = CALENDAR[window];
  return { channel, category, messages, window: calendar ? { calendar } : { rollingMs: hours * HOUR_MS } };
}

export const DEFAULT_POLICY: Policy = policyOf(withDefaults({}));

function minuteOf(time: string): number {
  const match = TIME_OF_DAY.exec(time);
  if (!match) throw new RangeError(`"${time}" is not a time of day as HH:MM`);
  return Number(match[1]) * 60 + Number(match[2]);
}

/** What is wrong with settings somebody wants to store; defaults already filled in. */
export function settingsViolations(s: MessagingSettings): Violation[] {
  const found: Violation[] = [];
  const check = (field: string, ok: boolean, description: string) => {
    if (!ok) found.push({ field: `settings.${field}`, description });
  };
  for (const [field, time] of [
    ['quiet_start', s.quietStart],
    ['quiet_end', s.quietEnd],
  ] as const) {
    check(field, TIME_OF_DAY.test(time), `must be a time of day as HH:MM, is ${JSON.stringify(time)}`);
  }
  check('cap_messages', s.capMessages >= 1 && s.capMessages <= 100, `must be 1–100, is ${s.capMessages}`);
  check('cap_days', s.capDays >= 1 && s.capDays <= 31, `must be 1–31, is ${s.capDays}`);
  check('consent_model', s.consentModel === 1 || s.consentModel === 2, 'must be opt-out or opt-in');
  check('caps', s.caps.length <= MAX_CAPS, `must be at most ${MAX_CAPS}, are ${s.caps.length}`);
  for (const [i, cap] of s.caps.slice(0, MAX_CAPS).entries()) found.push(...capViolations(cap, `settings.caps[${i}]`));
  const signature = headerProblem(s.smsSignature, 30);
  check('sms_signature', signature === undefined && !/[【】]/.test(s.smsSignature), signature ?? 'goes without 【】');
  check('sender_address', s.senderAddress === '' || isEmailAddress(s.senderAddress), 'must be an e-mail address');
  for (const [field, line] of [
    ['sender_name', s.senderName],
    ['shop_name', s.shopName],
  ] as const) {
    const problem = headerProblem(line, 100);
    check(field, problem === undefined, problem ?? '');
  }
  check(
    'unsubscribe_url',
    isUnsubscribeUrl(s.unsubscribeUrl),
    'must be empty or a mailto: or https: address, at most 500 characters',
  );
  check(
    'default_locale',
    isLocale(s.defaultLocale),
    `must be a BCP 47 tag like "en" or "zh-CN", is ${JSON.stringify(s.defaultLocale)}`,
  );
  return found;
}

function capViolations(cap: FrequencyCap, at: string): Violation[] {
  const found: Violation[] = [];
  const check = (field: string, ok: boolean, description: string) => {
    if (!ok) found.push({ field: `${at}.${field}`, description });
  };
  const { channel, category, messages, window, hours } = cap;
  check('channel', channel === '' || CHANNELS.has(channel), `must be empty or one of ${CHANNEL_NAMES}`);
  check('category', category === '' || CATEGORY.test(category), 'must be empty or the category of a template');
  check('messages', messages >= 1 && messages <= 100, `must be 1–100, is ${messages}`);
  const rolling = window === CapWindow.CAP_WINDOW_ROLLING;
  check('window', rolling || CALENDAR[window] !== undefined, 'must be rolling, or a calendar day, week or month');
  check(
    'hours',
    rolling ? hours >= 1 && hours <= 744 : hours === 0,
    rolling ? `must be 1–744, is ${hours}` : 'must be 0',
  );
  return found;
}

function isUnsubscribeUrl(url: string): boolean {
  if (url === '') return true;
  return url.length <= 500 && /^(mailto:|https:\/\/)[\x21-\x7e]+$/.test(url) && !/[<>"\\]/.test(url);
}
