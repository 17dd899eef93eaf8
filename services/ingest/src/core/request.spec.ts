import { describe, expect, test } from 'vitest';
import { readRequest, routeOf } from './request.ts';
import { Violations } from './violations.ts';

const batch = routeOf('/v1/batch');
const track = routeOf('/v1/track');

function read(body: unknown, route = batch) {
  if (route === undefined) throw new Error('no route');
  const violations = new Violations();
  const bytes = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
  return { request: readRequest(bytes, route, violations), violations: violations.list };
}

test.each([
  ['/v1/track', false, 2],
  ['/v1/t', false, 2],
  ['/v1/identify', false, 1],
  ['/v1/s', false, 4],
  ['/api/s/s2s/alias', false, 6],
  ['/v1/batch/', true, undefined],
  ['/beacon/v1/batch', true, undefined],
])('%s', (path, isBatch, type) => {
  expect(routeOf(path)).toEqual({ batch: isBatch, type });
});

test.each(['/v1/', '/v1/constructor', '/v1/__proto__', '/v1/track/x', '/', ''])('no route: %j', (path) => {
  expect(routeOf(path)).toBeUndefined();
});

describe('the context of a batch', () => {
  const withContext = (context: string) => read(`{"batch":[{}],"context":${context}}`);
  test('is given on', () => {
    expect(withContext('{"locale":"zh"}').request?.context).toEqual({ locale: 'zh' });
  });

  test.each([
    ['a list', '[]', 'context', 'an object'],
    ['__proto__', '{"a":{"__proto__":1}}', 'context.a.__proto__', '__proto__'],
    ['NUL', '{"traits":{"email":"a\\u0000"}}', 'context.traits.email', 'NUL'],
    ['deep', `{"a":${'['.repeat(5000)}${']'.repeat(5000)}}`, `context.a${'[0]'.repeat(30)}`, '32 deep'],
    ['large', `{"traits":{"x":"${'x'.repeat(5000)}"}}`, 'context', '4096 bytes'],
  ])('is refused: %s', (_, context, field, rule) => {
    const { request, violations } = withContext(context);
    expect(request).toBeUndefined();
    expect(violations).toMatchObject([{ index: -1, field, rule: expect.stringContaining(rule) }]);
  });
});

test('what the parser says about bad JSON does not quote it', () => {
  const { violations } = read('{"email":"wei@example.com"x}', track);
  expect(violations[0]?.rule).toMatch(/^must be JSON: unexpected character at position \d+/);
  expect(JSON.stringify(violations)).not.toContain('example.com');
});

test('many things wrong: all counted, a hundred listed', () => {
  const violations = new Violations();
  for (let i = 0; i < 500; i++) violations.add('x'.repeat(1000), 'y'.repeat(1000), 'rule');
  expect(violations.count).toBe(500);
  expect(violations.list).toHaveLength(100);
  expect(JSON.stringify(violations.list).length).toBeLessThan(50_000);
});
