import { describe, expect, it } from 'vitest';
import type { JourneyState } from '#gen/recur/journey/v1/state.ts';
import { Event, EventType } from '#gen/recur/log/v1/event.ts';
import fc from '#tools/testkit/fast-check.ts';
import { SeenEvent } from '../event/seen.ts';
import type { Run } from '../run.ts';
import { emptyState } from '../state.ts';
import { Expression, expressionFault, plainValue } from './expression.ts';
import { Facts } from './facts.ts';

const NOW = Date.UTC(2026, 2, 2);
const trait = (name: string, value: unknown, sealed = '') => ({
  ...{ name, json: Buffer.from(sealed === '' ? JSON.stringify(value) : ''), sealed: Buffer.from(sealed) },
  ...{ setMs: 0, seq: 0, index: 0 },
});

function facts(properties: object, trigger: object = {}): Facts {
  const traits = [trait('city', 'Hangzhou'), trait('points', 40), trait('birthday', undefined, 'sealed bytes')];
  const state: JourneyState = { ...emptyState(), segments: ['vip'], traits };
  const said = { messageId: 'm', type: EventType.EVENT_TYPE_TRACK, name: 'Order Completed', timeMs: NOW };
  const body = Event.encode(Event.fromPartial({ ...said, propertiesJson: Buffer.from(JSON.stringify(properties)) }));
  const enrolment = {
    ...{
      journeyId: 'j',
      version: 3,
      enrolmentId: 'e',
      nodeId: 'n',
      enteredMs: NOW - 3_600_000,
      nodeEnteredMs: 0,
      dueMs: 0,
    },
    ...{
      parkedBranch: '',
      steps: 2,
      variant: 'a',
      sentNodeIds: [],
      convertedMs: 0,
      triggerSeq: 0,
      triggerIndex: 0,
      hops: 0,
    },
    triggerJson: Buffer.from(JSON.stringify({ event: 'Begin', properties: trigger })),
    expressionFailure: '',
  };
  return new Facts({ state, now: NOW } as Run, { event: new SeenEvent('Order Completed', body.finish()), enrolment });
}

const give = (text: string, properties: object = {}, trigger: object = {}) =>
  new Expression(text).evaluate(facts(properties, trigger));

describe('expressions', () => {
  it.each([
    ['event.amount >= 100 && "vip" in segments', true],
    ['event.amount * 2 + 1 > 200', true],
    ['event.order_id == trigger.order_id', true],
    ['event.items.exists(item, item.category == "serum" && item.quantity >= 2)', true],
    ['has(event.coupon) && event.coupon == "SPRING"', false],
    ['event.?coupon.orValue("none") == "none"', true],
    ['profile.city.startsWith("Hang") && profile.points == 40', true],
    ['has(profile.birthday)', false],
    ['journey.id == "j" && journey.version == 3 && journey.event == "Begin" && journey.variant == "a"', true],
    ['now - journey.entered == duration("1h") && now.getHours("Asia/Shanghai") == 8', true],
    ['event["Order total"] == 3', true],
  ])('%s', (text, value) => {
    expect(expressionFault(text, 'event under way', 'boolean')).toBeUndefined();
    const items = [{ category: 'serum', quantity: 2 }];
    const event = { amount: 120.5, order_id: 'o1', items, 'Order total': 3 };
    expect(give(text, event, { order_id: 'o1' })).toEqual({ value });
  });

  it.each([
    ['event.coupon == "A"', 'No such key: coupon'],
    ['event.amount > 3', 'no such overload: dyn<string> > int'],
    ['event.constructor == null', 'No such key: constructor'],
    ['event.__proto__ == null', 'No such key: __proto__'],
    ['event.list.exists(x, x == 1)', 'event has a list of more than 100 items'],
  ])('fails: %s', (text, failure) => {
    const list = Array.from({ length: 101 }, (_, i) => i);
    const properties = text.includes('list') ? { list } : { amount: 'many' };
    expect(give(text, properties)).toEqual({ failure });
    expect(new Expression(text).test(facts(properties))).toEqual({ holds: false, failure });
  });

  it('does not look at events beyond 8 KB', () => {
    expect(give('event.a == 1', { a: 1, rest: 'x'.repeat(9_000) })).toEqual({
      failure: 'event has more than 8 KB of properties',
    });
    expect(give('profile.points == 40', { rest: 'x'.repeat(9_000) })).toEqual({ value: true });
  });

  it.each([
    ['', 'must be an expression of 1 to 500 characters'],
    [`event.a == "${'x'.repeat(500)}"`, 'must be an expression of 1 to 500 characters'],
    ['event.amount >', 'character 15: Unexpected token: EOF'],
    ['evnt.amount > 1', 'character 1: Unknown variable: evnt'],
    ['true && journey.entred < now', 'character 17: No such key: entred'],
    ['1 + "a" == 2', 'character 1: no such overload: int + string'],
    ['event.name.matches("(a+)+$")', 'character 1: matches is not available'],
    ['event.a.split("").size() > 1', 'character 1: split is not available'],
    ['event.a.all(x, event.a.all(y, x == y))', 'character 16: all may not stand inside another loop through a list'],
    ['event.a.all(x, event.b.exists_one(y, true) || x == 1)', 'inside another loop'],
    ['event.a + 1', undefined],
    ['"text"', 'must give a boolean, not string'],
    ['process.exit(1)', 'character 1: Unknown variable: process'],
    ['event.constructor.constructor("return 1")()', 'character 42'],
    [`${'('.repeat(30)}true${')'.repeat(30)}`, 'maxDepth'],
    [`[${'1,'.repeat(120)}1].size() > 1`, 'maxListElements'],
    [`${Array(200).fill('1').join('+')} == 1`, 'maxAstNodes'],
  ])('refuses %s', (text, fault) => {
    const found = expressionFault(text, 'event under way', 'boolean');
    if (fault === undefined) expect(found).toBeUndefined();
    else expect(found).toContain(fault);
  });

  it('tells which variables a place knows', () => {
    expect(expressionFault('trigger.a == 1', 'event', 'boolean')).toContain('Unknown variable: trigger');
    expect(expressionFault('event.a == 1', 'node', 'boolean')).toContain('Unknown variable: event');
    expect(expressionFault('journey.steps + 1', 'node', 'value')).toBeUndefined();
  });

  it('names what it reads of the trigger', () => {
    const { triggerNames } = new Expression(
      'trigger.order_id == "a" || trigger["total sum"] > 1 || trigger.?a.b.hasValue()',
    );
    expect([...triggerNames].sort()).toEqual(['a', 'order_id', 'total sum']);
  });

  it('gives values as JSON has them', () => {
    const value = (text: string) => {
      const result = give(text, { amount: 12.5 });
      return 'value' in result ? plainValue(result.value) : result.failure;
    };
    expect(value('event.amount * 2')).toBe(25);
    expect(value('journey.steps + 1')).toBe(3);
    expect(value('now')).toBe('2026-03-02T00:00:00.000Z');
    expect(value('[1, "a", event.amount]')).toEqual([1, 'a', 12.5]);
    expect(value('event.amount > 10 ? "large" : "small"')).toBe('large');
    expect(value('{"total": event.amount}')).toEqual({ total: 12.5 });
    expect(value('event.?none')).toBeUndefined();
    expect(value('event.amount / 0')).toBeUndefined();
    expect(value('duration("1h")')).toBeUndefined();
  });

  it('never throws, whatever it is given, and always gives the same', () => {
    const parts = fc.constantFrom(
      ...'event profile . .? [ ] ( ) a "x" 1 2.5 == > && || ! in + - ? : has size all map ,'.split(' '),
    );
    const texts = fc.oneof(
      fc.string({ maxLength: 60 }),
      fc.array(parts, { maxLength: 12 }).map((list) => list.join(' ')),
    );
    fc.assert(
      fc.property(texts, fc.jsonValue(), (text, a) => {
        expressionFault(text, 'event under way', 'value');
        const first = new Expression(text).evaluate(facts({ a }));
        expect(new Expression(text).evaluate(facts({ a }))).toEqual(first);
      }),
      { numRuns: 500 },
    );
  });

  it('the costliest there is ends at once', () => {
    const a = Array.from({ length: 100 }, () => `${'a'.repeat(20)}b`);
    const body = Array(14).fill('(x+event.s).contains("aaaaaaab")').join('||').slice(0, 470);
    const text = `event.a.all(x, !(${body.slice(0, body.lastIndexOf('||'))}))`;
    expect(expressionFault(text, 'event', 'boolean')).toBeUndefined();
    const begun = performance.now();
    new Expression(text).evaluate(facts({ a, s: 'a'.repeat(4_000) }));
    expect(performance.now() - begun).toBeLessThan(250);
  });
});
