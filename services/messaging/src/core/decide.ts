import type { SendRequest } from '#gen/recur/log/v1/changes.ts';
import type { CustomerState } from '#gen/recur/messaging/v1/state.ts';
import { consentAllows, isSuppressed } from './consent.ts';
import { capReached } from './frequency-cap.ts';
import { nextAllowed } from './quiet-hours.ts';
import type { Policy } from './settings.ts';

export const CHANNEL = 'email';

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
  /** The template is in force. */
  readonly templateKnown: boolean;
}

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
  if (request.channel !== CHANNEL) return drop('channel_unsupported');
  if (!at.templateKnown) return drop('template_missing');
  if (request.variablesJson.length > MAX_VARIABLES_BYTES) return drop('variables_too_large');

  if (isSuppressed(state.suppressions, request.channel, state.email?.hash ?? Buffer.alloc(0)))
    return drop('suppressed');
  if (!state.email || state.email.sealed.length === 0) return drop('no_address');
  const purpose = isMarketing(request) ? 'marketing' : 'transactional';
  if (!consentAllows(state.consents, request.channel, purpose, policy.optIn)) return drop('no_consent');
  if (purpose === 'transactional') return { outcome: 'send' };

  const untilMs = nextAllowed(at.now, zoneOf(state, at.shopTimeZone), policy.quiet);
  if (untilMs > at.now) return { outcome: 'defer', reason: 'quiet_hours', untilMs };
  if (capReached(state.marketingSends, at.now, policy)) return drop('frequency_cap');
  return { outcome: 'send' };
}

function drop(reason: DropReason): Verdict {
  return { outcome: 'drop', reason };
}
