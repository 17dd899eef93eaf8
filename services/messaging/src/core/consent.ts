import type { Consent, Suppression } from '#gen/recur/messaging/v1/state.ts';

export const ANY = '*';
const MAX_CONSENTS = 32;
const MAX_SUPPRESSIONS = 16;

/**
 * Whether a message may go out as far as the customer's word goes. The latest word on (channel, purpose) counts, `*`
 * standing for any; at the same moment "no" wins. Nobody's word: marketing as the settings say, anything else yes.
 */
export function consentAllows(consents: readonly Consent[], channel: string, purpose: string, optIn: boolean): boolean {
  let word: Consent | undefined;
  for (const c of consents) {
    if ((c.channel !== channel && c.channel !== ANY) || (c.purpose !== purpose && c.purpose !== ANY)) continue;
    if (!word || c.timeMs > word.timeMs || (c.timeMs === word.timeMs && !c.given)) word = c;
  }
  if (word) return word.given;
  return purpose === 'marketing' ? !optIn : true;
}

/** Enters one word. Returns whether anything changed: an older word than the known one changes nothing. */
export function enterConsent(consents: Consent[], word: Consent): boolean {
  const known = consents.find((c) => c.channel === word.channel && c.purpose === word.purpose);
  if (!known) {
    consents.push(word);
    if (consents.length > MAX_CONSENTS) dropOldestGiven(consents);
    return true;
  }
  if (word.timeMs < known.timeMs || (word.timeMs === known.timeMs && word.given)) return false;
  known.given = word.given;
  known.timeMs = word.timeMs;
  return true;
}

/** Too many kinds of consent: rather forget a "yes" than a "no". */
function dropOldestGiven(consents: Consent[]): void {
  let victim = 0;
  for (let i = 1; i < consents.length; i++) {
    const [a, b] = [consents[i], consents[victim]];
    if (a && b && (a.given === b.given ? a.timeMs < b.timeMs : a.given)) victim = i;
  }
  consents.splice(victim, 1);
}

/** Two customers turned out to be one: a "no" of either holds until a later "yes". */
export function stricter(a: readonly Consent[], b: readonly Consent[]): Consent[] {
  const merged = a.map((c) => ({ ...c }));
  for (const word of b) {
    const same = merged.find((c) => c.channel === word.channel && c.purpose === word.purpose);
    if (!same) enterConsent(merged, { ...word });
    else {
      same.given &&= word.given;
      same.timeMs = Math.max(same.timeMs, word.timeMs);
    }
  }
  return merged;
}

/** A complaint holds for the customer; a bounce for the address it is about, or any when nobody can tell. */
export function isSuppressed(suppressions: readonly Suppression[], channel: string, addressHash: Uint8Array): boolean {
  return suppressions.some((s) => {
    if (s.channel !== channel) return false;
    if (s.reason === 'complaint' || s.addressHash.length === 0 || addressHash.length === 0) return true;
    return Buffer.compare(s.addressHash, addressHash) === 0;
  });
}

/** Enters a suppression once. Returns whether it was new. */
export function enterSuppression(suppressions: Suppression[], s: Suppression): boolean {
  const same = (k: Suppression) =>
    k.channel === s.channel && k.reason === s.reason && Buffer.compare(k.addressHash, s.addressHash) === 0;
  if (suppressions.some(same)) return false;
  suppressions.push(s);
  if (suppressions.length > MAX_SUPPRESSIONS) {
    // Complaints are at most one per channel, so there is always a bounce to forget.
    suppressions.splice(
      Math.max(
        0,
        suppressions.findIndex((k) => k.reason !== 'complaint'),
      ),
      1,
    );
  }
  return true;
}
