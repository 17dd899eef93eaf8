import { hash } from 'node:crypto';
import { Match, MatchState, type ProposedMatch } from '#gen/recur/identity/v1/match_service.ts';
import { LEVELS, MAX_COMPARISONS, ORDER_LEVELS } from '#lib/matching/fields.ts';

export interface Violation {
  readonly field: string;
  readonly description: string;
}

const CUSTOMER_ID = /^[0-9A-Za-z_-]{1,64}$/;
const RUN_ID = /^[\x21-\x7e]{0,64}$/;
const FIELD = /^[\p{L}\p{N}_\-./() ]{1,64}$/u;
const KNOWN_LEVELS = new Set([...Object.values(LEVELS).flat(), ...ORDER_LEVELS, 'missing']);
export const MAX_PROPOSED = 500;
const MAX_BITS = 1_000;
const MAX_REASON = 200;

/** The same for the same two customers, whichever way round: proposing is idempotent, and a rejection is remembered. */
export function matchId(a: string, b: string): string {
  return hash('sha256', a < b ? `${a} ${b}` : `${b} ${a}`, 'hex').slice(0, 32);
}

/** What is wrong with proposals. Levels are those of the comparison, so that nobody's name gets in by this way. */
export function proposalViolations(matches: readonly ProposedMatch[], runId: string): Violation[] {
  const wrong: Violation[] = [];
  if (matches.length < 1 || matches.length > MAX_PROPOSED) {
    wrong.push({ field: 'matches', description: `must have 1 to ${MAX_PROPOSED} entries, has ${matches.length}` });
  }
  if (!RUN_ID.test(runId)) {
    wrong.push({ field: 'run_id', description: 'must be at most 64 printable characters without spaces' });
  }
  for (const [i, match] of matches.slice(0, MAX_PROPOSED).entries()) wrong.push(...oneProposal(match, `matches[${i}]`));
  return wrong;
}

function oneProposal(match: ProposedMatch, at: string): Violation[] {
  const { customerId, otherCustomerId, probability, findings } = match;
  const wrong: Violation[] = [];
  const rule = (holds: boolean, field: string, description: string) => {
    if (!holds) wrong.push({ field: `${at}.${field}`, description });
  };
  const id = 'must be a customer id: 1 to 64 letters, digits, "_" or "-"';
  rule(CUSTOMER_ID.test(customerId), 'customer_id', id);
  rule(CUSTOMER_ID.test(otherCustomerId), 'other_customer_id', id);
  rule(customerId !== otherCustomerId, 'other_customer_id', 'must be another customer');
  rule(probability >= 0 && probability <= 1, 'probability', `must be 0 to 1, is ${probability}`);
  rule(findings.length <= MAX_COMPARISONS, 'findings', `must be at most ${MAX_COMPARISONS}, are ${findings.length}`);
  for (const [i, { field, level, bits }] of findings.slice(0, MAX_COMPARISONS).entries()) {
    rule(FIELD.test(field), `findings[${i}].field`, 'must be 1 to 64 letters, digits, spaces and _ - . / ( )');
    rule(KNOWN_LEVELS.has(level), `findings[${i}].level`, `must be one of ${[...KNOWN_LEVELS].join(', ')}`);
    rule(Math.abs(bits) <= MAX_BITS, `findings[${i}].bits`, `must be within ${MAX_BITS} of 0`);
  }
  return wrong;
}

export function reasonViolations(reason: string): Violation[] {
  if (reason.length <= MAX_REASON) return [];
  return [{ field: 'reason', description: `must be at most ${MAX_REASON} characters, has ${reason.length}` }];
}

/** A match as it is proposed; undefined when it is to stay as it was, because somebody has decided it. */
export function proposed(
  known: Match | undefined,
  proposal: ProposedMatch,
  runId: string,
  now: number,
): Match | undefined {
  if (known !== undefined && known.state !== MatchState.MATCH_STATE_OPEN) return undefined;
  const { customerId, otherCustomerId, probability, findings } = proposal;
  if (known?.probability === probability && known.runId === runId) return undefined;
  return Match.fromPartial({
    id: matchId(customerId, otherCustomerId),
    customerId,
    otherCustomerId,
    probability,
    findings,
    state: MatchState.MATCH_STATE_OPEN,
    runId,
    createTimeMs: known?.createTimeMs ?? now,
    updateTimeMs: now,
  });
}

/** Why the two became one, for the record of the merge: the score, and what spoke most for it. */
export function reasonOf({ probability, findings }: Match): string {
  const strongest = [...findings].filter((f) => f.bits > 1).sort((a, b) => b.bits - a.bits);
  const parts = strongest.map(({ field, level }) => `${field} ${level}`);
  let text = `fuzzy ${shortProbability(probability)}: ${parts.shift() ?? 'nothing else'}`;
  for (const part of parts) {
    if (text.length + part.length + 2 > MAX_REASON) break;
    text += `, ${part}`;
  }
  return text.slice(0, MAX_REASON);
}

/** 0.99987 stays what it is: what is not certain must not be rounded to it. */
function shortProbability(p: number): string {
  return p > 0.9999 ? '>0.9999' : (Math.floor(p * 10_000) / 10_000).toFixed(4);
}
