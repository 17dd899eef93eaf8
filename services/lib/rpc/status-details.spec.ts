import { status } from '@grpc/grpc-js';
import { expect, test } from 'vitest';
import fc from '#tools/testkit/fast-check.ts';
import { RpcError } from './errors.ts';
import { fromStatus, toStatus } from './status-details.ts';

test('what a server throws comes out of a client as it was', () => {
  const text = (maxLength: number) => fc.string({ unit: 'grapheme', maxLength });
  const violation = fc.record({ field: text(40), description: text(40) });
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 16 }),
      text(200).filter((message) => message !== ''),
      fc.array(violation, { maxLength: 5 }),
      fc.option(fc.integer({ min: 0, max: 86_400_000 }), { nil: undefined }),
      (code, message, violations, retryAfterMs) => {
        const thrown = new RpcError(
          code,
          message,
          retryAfterMs === undefined ? { violations } : { violations, retryAfterMs },
        );
        const wire = toStatus(thrown);
        const seen = fromStatus(Object.assign(new Error(wire.details), { ...wire, name: 'ServiceError' }));
        expect([seen.code, seen.message, seen.violations, seen.retryAfterMs]).toEqual([
          code,
          message,
          violations,
          retryAfterMs,
        ]);
      },
    ),
  );
});

test.each(['x', '错', '😀', '\ud800', '%'])('whatever is told stays small enough for headers: %j', (letter) => {
  for (const length of [1, 100, 999, 1000, 1001, 5000]) {
    const violations = Array.from({ length: 1000 }, () => ({
      field: letter.repeat(length),
      description: letter.repeat(length),
    }));
    const { metadata, details } = toStatus(
      new RpcError(status.INVALID_ARGUMENT, letter.repeat(length * 20), { violations }),
    );
    const bytes = metadata?.get('grpc-status-details-bin')[0] as Buffer;
    expect(bytes.toString('base64').length + encodeURIComponent(details).length).toBeLessThan(8_000);
    expect(
      fromStatus(Object.assign(new Error('x'), { code: 3, details, metadata, name: 'ServiceError' })).violations.length,
    ).toBeGreaterThan(0);
  }
});

test('details nobody can read do not hide the error', () => {
  const wire = toStatus(new RpcError(status.NOT_FOUND, 'There is none.'));
  wire.metadata?.set('grpc-status-details-bin', Buffer.from([0xff, 0xff, 0xff]));
  const seen = fromStatus(Object.assign(new Error('x'), { ...wire, name: 'ServiceError' }));
  expect([seen.code, seen.message]).toEqual([status.NOT_FOUND, 'There is none.']);
});
