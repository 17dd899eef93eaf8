import type { MarketingSend } from '#gen/recur/messaging/v1/state.ts';
import type { Policy } from './settings.ts';

/** The longest window settings allow; older sends can never matter again, whatever the settings become. */
export const KEEP_MS = 31 * 86_400_000;
const KEEP = 128;

/** Whether one more marketing message now would be too many. A send exactly one window ago no longer counts. */
export function capReached(sends: readonly MarketingSend[], now: number, policy: Policy): boolean {
  let count = 0;
  for (const send of sends) if (send.timeMs > now - policy.capWindowMs) count++;
  return count >= policy.capMessages;
}

/** Sends in order of time without those that no longer matter. */
export function pruned(sends: readonly MarketingSend[], now: number): MarketingSend[] {
  const kept = sends.filter((send) => send.timeMs > now - KEEP_MS).sort((a, b) => a.timeMs - b.timeMs);
  return kept.slice(-KEEP);
}

/** After a merge both customers' messages reached the same person; a message known to both counts once. */
export function union(a: readonly MarketingSend[], b: readonly MarketingSend[], now: number): MarketingSend[] {
  const byKey = new Map([...a, ...b].map((send) => [send.keyHash, send]));
  return pruned([...byKey.values()], now);
}
