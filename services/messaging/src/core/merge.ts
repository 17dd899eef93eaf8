import type { Address, Preference, StoredTrait } from '#gen/recur/messaging/v1/state.ts';
import { enterSuppression, stricter } from './consent.ts';
import { union } from './frequency-cap.ts';
import { keysOf } from './ledger.ts';
import { MessagingState, newest } from './state.ts';

export function emptyState(): MessagingState {
  return MessagingState.of({});
}

/**
 * One person after a merge: of two values the later set, of two wishes the stricter, of two counts the sum. Whatever was
 * under way for either goes on.
 */
export function merge(into: MessagingState | undefined, from: MessagingState, now: number): MessagingState {
  if (!into) return from;
  const suppressions = [...into.suppressions];
  for (const s of from.suppressions) enterSuppression(suppressions, s);
  return MessagingState.of({
    email: later<Address>(into.email, from.email),
    addresses: latest<Address>(into.addresses, from.addresses),
    traits: Object.fromEntries(Object.entries(latest<StoredTrait>(into.traits, from.traits)).slice(0, 48)),
    locale: later<Preference>(into.locale, from.locale),
    timeZone: later<Preference>(into.timeZone, from.timeZone),
    consents: stricter(into.consents, from.consents),
    suppressions,
    marketingSends: union(into.marketingSends, from.marketingSends, now),
    deferred: [...into.deferred, ...from.deferred],
    messages: newest([...into.messages, ...from.messages].sort((a, b) => a.decidedAtMs - b.decidedAtMs)),
    decidedKeys: keysOf(into.decidedKeys, from.decidedKeys),
    withFallback: [...into.withFallback, ...from.withFallback],
  });
}

function later<T extends { timeMs: number }>(a: T | undefined, b: T | undefined): T | undefined {
  if (!a || !b) return a ?? b;
  return b.timeMs > a.timeMs ? b : a;
}

function latest<T extends { timeMs: number }>(a: Record<string, T>, b: Record<string, T>): Record<string, T> {
  const all = new Map(Object.entries(a));
  for (const [name, value] of Object.entries(b)) all.set(name, later(all.get(name), value) ?? value);
  return Object.fromEntries(all);
}
