import { expect, it } from 'vitest';
import fc from '#tools/testkit/fast-check.ts';
import { TimerBook } from './timers.ts';

const key = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f');
const action = fc.oneof(
  fc.record({ set: key, due: fc.nat(100) }),
  fc.record({ cancel: key }),
  fc.record({ take: fc.nat(100) }),
);

it('fires in order of (due, key), each timer once, as a plain sorted list would', () => {
  fc.assert(
    fc.property(fc.array(action, { maxLength: 80 }), (actions) => {
      const loaded = [...'abc'].map((k, i) => ({ key: k, due: i * 10 }));
      const book = new TimerBook(loaded, 1_000);
      const model = new Map(loaded.map((t) => [t.key, t.due]));
      for (const a of actions) {
        if ('set' in a) {
          book.set(a.set, a.due);
          model.set(a.set, a.due);
        } else if ('cancel' in a) {
          book.cancel(a.cancel);
          model.delete(a.cancel);
        } else {
          const due = [...model]
            .filter(([, d]) => d <= a.take)
            .sort((x, y) => x[1] - y[1] || (x[0] < y[0] ? -1 : 1))[0];
          expect(book.take(a.take)).toEqual(due && { key: due[0], due: due[1] });
          if (due) model.delete(due[0]);
        }
      }
      for (const [k, due] of book.changes) expect(due).toEqual(model.get(k) ?? null);
    }),
  );
});
