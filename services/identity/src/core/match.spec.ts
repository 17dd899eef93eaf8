import { describe, expect, it } from 'vitest';
import { Match, MatchState } from '#gen/recur/identity/v1/match_service.ts';
import fc from '#tools/testkit/fast-check.ts';
import { matchId, proposalViolations, proposed, reasonOf } from './match.ts';
import { byLikelihood, type MatchKey, pageOf, readToken } from './match-index.ts';

const { MATCH_STATE_OPEN: OPEN, MATCH_STATE_ACCEPTED: ACCEPTED, MATCH_STATE_REJECTED: REJECTED } = MatchState;
const id = fc.string({ unit: fc.constantFrom(...'AB01'), minLength: 1, maxLength: 6 });

it('two customers have one match, whichever way round, and no others have it', () => {
  fc.assert(
    fc.property(id, id, id, (a, b, c) => {
      expect(matchId(a, b)).toBe(matchId(b, a));
      expect(matchId(a, b)).toMatch(/^[0-9a-f]{32}$/);
      if (c !== a && c !== b) expect(matchId(a, c)).not.toBe(matchId(a, b));
    }),
  );
});

describe('what is proposed', () => {
  const proposal = { customerId: 'A', otherCustomerId: 'B', probability: 0.9, findings: [] };

  it('is open, and keeps when it was first proposed', () => {
    const first = proposed(undefined, proposal, 'r1', 1_000) as Match;
    expect(first).toMatchObject({ id: matchId('A', 'B'), state: OPEN, createTimeMs: 1_000, updateTimeMs: 1_000 });
    const again = proposed(first, { ...proposal, probability: 0.8 }, 'r2', 2_000);
    expect(again).toMatchObject({ probability: 0.8, runId: 'r2', createTimeMs: 1_000, updateTimeMs: 2_000 });
  });

  it('changes nothing the second time, nor once it is decided', () => {
    const first = proposed(undefined, proposal, 'r1', 1_000) as Match;
    expect(proposed(first, proposal, 'r1', 2_000)).toBeUndefined();
    for (const state of [ACCEPTED, REJECTED, MatchState.MATCH_STATE_REFUSED]) {
      expect(proposed({ ...first, state }, { ...proposal, probability: 1 }, 'r2', 2_000)).toBeUndefined();
    }
  });

  it('carries nothing but fields, levels and numbers', () => {
    const wrong = (finding: { field?: string; level?: string; bits?: number }) => {
      const findings = [{ field: 'name', level: 'same', bits: 1, ...finding }];
      return proposalViolations([{ ...proposal, findings }], '').map((v) => v.field);
    };
    expect(wrong({})).toEqual([]);
    expect(wrong({ field: '详细地址' })).toEqual([]);
    expect(wrong({ level: 'ann@example.org' })).toEqual(['matches[0].findings[0].level']);
    expect(wrong({ field: 'ann@example.org' })).toEqual(['matches[0].findings[0].field']);
    expect(wrong({ bits: Number.NaN })).toEqual(['matches[0].findings[0].bits']);
    const notOne = proposalViolations([{ ...proposal, probability: Number.NaN, otherCustomerId: 'A' }], '');
    expect(notOne.map((v) => v.field)).toEqual(['matches[0].other_customer_id', 'matches[0].probability']);
  });
});

it('the reason of a merge names what spoke most for it, within the length of a reason', () => {
  const finding = fc.record({
    field: fc.string({ unit: fc.constantFrom(...'abc_地'), minLength: 1, maxLength: 64 }),
    level: fc.constantFrom('same', 'one typing error', 'different'),
    bits: fc.double({ min: -20, max: 30, noNaN: true }),
  });
  fc.assert(
    fc.property(
      fc.array(finding, { maxLength: 18 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (findings, probability) => {
        const reason = reasonOf(Match.fromPartial({ findings, probability }));
        expect(reason.length).toBeLessThanOrEqual(200);
        const best = [...findings].sort((a, b) => b.bits - a.bits)[0];
        if (best && best.bits > 1) expect(reason).toContain(`: ${best.field} ${best.level}`);
        if (probability < 1 - 1e-9) expect(reason).not.toContain('fuzzy 1');
      },
    ),
  );
});

describe('pages', () => {
  const key = fc.record({
    id: fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: 32, maxLength: 32 }),
    state: fc.constantFrom(OPEN, ACCEPTED),
    probability: fc.constantFrom(0.1, 0.5, 0.5000000001, 0.9, 1),
    customerId: fc.constantFrom('A', 'B'),
    otherCustomerId: fc.constantFrom('C', 'D'),
  });
  const keys = fc.uniqueArray(key, { maxLength: 40, selector: (k) => k.id });

  it('together are all that meet the conditions, each once, likeliest first', () => {
    fc.assert(
      fc.property(keys, fc.integer({ min: 1, max: 7 }), fc.constantFrom('', 'A', 'D'), (list, size, customerId) => {
        const filter = { state: MatchState.MATCH_STATE_UNSPECIFIED, minProbability: 0.5, customerId };
        const listed: MatchKey[] = [];
        for (let token = ''; ; ) {
          const after = readToken(token);
          if (after === 'bad') throw new Error('a token is not understood');
          const { page, total, nextPageToken } = pageOf(list, filter, size, after);
          expect(page.length).toBeLessThanOrEqual(size);
          listed.push(...page);
          if (nextPageToken === '') {
            expect(total).toBe(listed.length);
            break;
          }
          token = nextPageToken;
        }
        const expected = list.filter(
          (k) =>
            k.state === OPEN &&
            k.probability >= 0.5 &&
            (customerId === '' || k.customerId === customerId || k.otherCustomerId === customerId),
        );
        expect(listed).toEqual(expected.sort(byLikelihood));
      }),
    );
  });

  it.each(['x', 'MS41IHg', Buffer.from('2 '.concat('0'.repeat(32))).toString('base64url')])(
    '%s is no token',
    (token) => {
      expect(readToken(token)).toBe('bad');
    },
  );
});
