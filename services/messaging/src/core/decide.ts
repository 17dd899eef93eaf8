import type { SendRequest } from '#gen/recur/log/v1/changes.ts';
import type { CustomerState } from '#gen/recur/messaging/v1/state.ts';
import { addressFor, needsAddress } from './channels.ts';
import { consentAllows, isSuppressed } from './consent.ts';
import { capReached } from './frequency-cap.ts';
import { nextAllowed } from './quiet-hours.ts';
import type { Policy } from './settings.ts';

export type DropReason =
  | 'channel_unsupported'
  | 'template_missing'
  | 'variables_too_large'
  | 'suppressed'
  | 'no_address'
  | 'no_consent'
  | 'frequency_cap'
  | 'deferred_too_often'
  | 'too_many_under_way';

export type Verdict =
  | { readonly outcome: 'send' }
  | { readonly outcome: 'defer'; readonly reason: 'quiet_hours'; readonly untilMs: number }
  | { readonly outcome: 'drop'; readonly reason: DropReason };

export interface Circumstances {
  readonly now: number;
  readonly policy: Policy;
  /** Time zone of customers whose own is unknown. */
  readonly shopTimeZone: string;
  /** Channels this cluster is configured for. */
  readonly channels: ReadonlySet<string>;
  /** The template in force, when there is one of this name for this channel. */
  readonly template: { readonly category: string } | undefined;
}

const NO_HASH = Buffer.alloc(0);
const MAX_VARIABLES_BYTES = 32 * 1024;

/** Anything that is not declared transactional is treated as marketing. */
export function isMarketing(request: SendRequest): boolean {
  return request.purpose !== 'transactional';
}

export function zoneOf(state: CustomerState, shopTimeZone: string): string {
  return state.timeZone?.value || shopTimeZone;
}

/**
 * The one place that decides about a message. The order is the rule: what makes it impossible, who must never be written
 * to, where to, whether the customer agrees, when, how often. A message put off passes all of it again at its moment, so
 * nothing that happened meanwhile is missed. Transactional messages know neither quiet hours nor caps.
 */
export function decide(state: CustomerState, request: SendRequest, at: Circumstances): Verdict {
  const { policy } = at;
  if (!at.channels.has(request.channel)) return drop('channel_unsupported');
  if (!at.template) return drop('template_missing');
  if (request.variablesJson.length > MAX_VARIABLES_BYTES) return drop('variables_too_large');

  const address = addressFor(state, request.channel);
  if (isSuppressed(state.suppressions, request.channel, address?.hash ?? NO_HASH)) return drop('suppressed');
  if (needsAddress(request.channel) && !address?.sealed.length) return drop('no_address');
  const purpose = isMarketing(request) ? 'marketing' : 'transactional';
  if (!consentAllows(state.consents, request.channel, purpose, policy.optIn)) return drop('no_consent');
  if (purpose === 'transactional') return { outcome: 'send' };

  const zone = zoneOf(state, at.shopTimeZone);
  const untilMs = nextAllowed(at.now, zone, policy.quiet);
  if (untilMs > at.now) return { outcome: 'defer', reason: 'quiet_hours', untilMs };
  const { channel } = request;
  const wanted = { channel, category: at.template.category, zone };
  if (capReached(state.marketingSends, wanted, at.now, policy)) return drop('frequency_cap');
  return { outcome: 'send' };
}

/** Whether another channel may say it instead: this one certainly reached nobody, and not because of too many messages. */
const ELSEWHERE: ReadonlySet<string> = new Set<DropReason>([
  ...(['channel_unsupported', 'template_missing', 'suppressed', 'no_address', 'no_consent'] as const),
]);

export function mayFallBack(reason: DropReason): boolean {
  return ELSEWHERE.has(reason);
}

function drop(reason: DropReason): Verdict {
  return { outcome: 'drop', reason };
}
