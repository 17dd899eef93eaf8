import { describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import fc from '#tools/testkit/fast-check.ts';
import { type Assembled, Assembler, GROUP_WINDOW } from './assemble.ts';
import type { Row } from './build.ts';
import type { Position } from './checkpoint.ts';
import { parseMapping } from './mapping.ts';
import type { BadLine } from './rows.ts';

const fields = { id: 'no', time: 'at', user_id: { value: 'anna' } };
const mapping = parseMapping(
  stringify({
    name: 'm',
    events: [
      { ...fields, type: 'identify', when: [{ column: 'kind', equals: 'both' }], continue: true },
      {
        ...fields,
        event: 'O',
        when: [
          { column: 'kind', not_equals: 'note' },
          { column: 'kind', not_equals: 'single' },
        ],
        group_by: 'no',
        max_items: 2,
        items: { line: 'line' },
      },
      { ...fields, event: 'S', when: [{ column: 'kind', equals: 'single' }] },
    ],
  }),
);

const row = (line: number, no: string, kind = 'order', at = '2026-01-01'): Row => ({
  line,
  cells: { no, kind, at, line: String(line) },
});
const malformed = (line: number): BadLine => ({ line, reason: 'too few columns', cells: undefined });

/** What comes out, as `id`, `bad 3+4: reason` or `skipped 5`. */
function names(made: Iterable<Assembled>): string[] {
  return [...made].flatMap((a) => {
    if (a.kind === 'bad') return [`bad ${a.lines.join('+')}: ${a.reason}`];
    if (a.kind === 'skipped') return [`skipped ${a.line}`];
    return a.events.map(({ body }) => String(body.messageId).slice(2));
  });
}

function all(rows: readonly (Row | BadLine)[]): string[] {
  const assembler = new Assembler(mapping);
  return [...rows.flatMap((r) => names(assembler.add(r))), ...names(assembler.end())];
}

describe('order', () => {
  test('is that of the first rows, also when groups lie in each other', () => {
    expect(all([row(2, 'a'), row(3, 'b'), row(4, 's', 'single'), row(5, 'b'), row(6, 'a')])).toEqual([
      'O:a',
      'O:b',
      'S:s',
    ]);
  });

  test('a row of its own goes out at once when nothing is open before it', () => {
    const assembler = new Assembler(mapping);
    expect(names(assembler.add(row(2, 's', 'single')))).toEqual(['S:s']);
    expect(names(assembler.add(row(3, 'a')))).toEqual([]);
    expect(names(assembler.add(row(4, 't', 'single')))).toEqual([]);
    expect(names(assembler.end())).toEqual(['O:a', 'S:t']);
  });

  test('a row can make two events, each in its place', () => {
    expect(all([row(2, 'a', 'both'), row(3, 'a')])).toEqual(['identify:a', 'O:a']);
  });

  test('parts of a group stay together', () => {
    expect(all([row(2, 'a'), row(3, 'a'), row(4, 'b'), row(5, 'a')])).toEqual(['O:a:1', 'O:a:2', 'O:b']);
  });
});

describe('a group', () => {
  test('waits for its rows this long and no longer', () => {
    const assembler = new Assembler(mapping);
    const notes = (from: number, n: number) => Array.from({ length: n }, (_, i) => row(from + i, 'n', 'note'));
    const events = (r: Row) => names(assembler.add(r)).filter((name) => !name.startsWith('skipped'));
    expect(events(row(2, 'a'))).toEqual([]);
    expect(notes(3, GROUP_WINDOW - 1).flatMap(events)).toEqual([]);
    expect(notes(GROUP_WINDOW + 2, 1).flatMap(events)).toEqual(['O:a']);
  });

  test('with a bad row is reported as a whole, and the others are made', () => {
    const rows = [row(2, 'a', 'order', 'never'), row(3, 'b'), row(4, 'a'), malformed(5), row(6, 'n', 'note')];
    expect(all(rows)).toEqual([
      'bad 5: too few columns',
      'skipped 6',
      'bad 2+4: at: "never" is no time; write 2011-08-31 17:45:00 or ISO 8601 with an offset',
      'O:b',
    ]);
  });
});

describe('going on from a position', () => {
  const kinds = fc.constantFrom('order', 'order', 'order', 'single', 'both', 'note');
  const file = fc
    .array(fc.tuple(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'), kinds), { minLength: 1, maxLength: 80 })
    .map((pairs) => pairs.map(([no, kind], i) => row(i + 2, kind === 'single' ? `s${i}` : no, kind)));

  /** Events of a run over the rows from a position on, until `most` groups are out; and where it stands then. */
  function run(rows: readonly Row[], from: Omit<Position, 'complete'>, most: number) {
    const assembler = new Assembler(mapping, from, 5);
    const made: string[] = [];
    let position = from;
    let groups = 0;
    const take = (generated: Iterable<Assembled>, next: number) => {
      for (const a of generated) {
        if (a.kind !== 'events') continue;
        made.push(...names([a]));
        position = assembler.position(next);
        if (++groups === most) return true;
      }
      return false;
    };
    for (const r of rows) if (r.line >= from.line && take(assembler.add(r), r.line + 1)) return { made, position };
    take(assembler.end(), rows.length + 2);
    return { made, position };
  }

  /** A row so late that its group would be complete, were it not for the one before it. */
  const late: [Row[], number, number] = [[...'adaaaaada'].map((no, i) => row(i + 2, no, 'order')), 1, 1];

  test('anywhere gives what is missing and nothing else', () => {
    fc.assert(
      fc.property(file, fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 20 }), (rows, stop, again) => {
        const start = { line: 0, stored: [] };
        const whole = run(rows, start, Number.POSITIVE_INFINITY).made;
        // Through JSON, as the file keeps it.
        const kept = ({ position }: ReturnType<typeof run>) => JSON.parse(JSON.stringify(position)) as typeof position;
        const first = run(rows, start, stop);
        const second = run(rows, kept(first), again);
        const third = run(rows, kept(second), Number.POSITIVE_INFINITY);
        expect([...first.made, ...second.made, ...third.made]).toEqual(whole);
      }),
      { numRuns: 300, examples: [late] },
    );
  });
});
