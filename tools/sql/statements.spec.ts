import { describe, expect, it } from 'vitest';
import fc from '#tools/testkit/fast-check.ts';
import { splitStatements } from './statements.ts';

describe('splitStatements', () => {
  it.each([
    ['SELECT 1', [], 'SELECT 1'],
    ['SELECT 1; SELECT 2;', ['SELECT 1', 'SELECT 2'], ''],
    ['SELECT \';\', ";", `;` -- ;\n/* ; */;', ['SELECT \';\', ";", `;` -- ;\n/* ; */'], ''],
    ["SELECT 'it''s \\' fine;';", ["SELECT 'it''s \\' fine;'"], ''],
    ["SELECT 1; SELECT 'open;", ['SELECT 1'], " SELECT 'open;"],
    ['SELECT 1 /* open; ', [], 'SELECT 1 /* open; '],
    ['SELECT 6 / 2 - 1;', ['SELECT 6 / 2 - 1'], ''],
    [' ; -- nothing\n ;', [], ''],
  ])('%j', (text, statements, rest) => expect(splitStatements(text)).toEqual({ statements, rest }));

  it('loses nothing but semicolons between statements', () => {
    const part = fc.constantFrom('SELECT 1', " 'a;b' ", '\n', ' /* ; */ ', ' -- ;\n', ';', ' x / y ', '`;`');
    fc.assert(
      fc.property(fc.array(part), (parts) => {
        const text = parts.join('');
        const { statements, rest } = splitStatements(text);
        const squeeze = (sql: string) => sql.replace(/--[^\n]*|\/\*[\s\S]*?\*\/|\s/g, '');
        expect(squeeze([...statements, rest].join('\n'))).toBe(squeeze(parts.filter((p) => p !== ';').join('')));
      }),
    );
  });
});
