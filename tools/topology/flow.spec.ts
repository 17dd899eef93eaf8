import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { SERVICES, WIRING } from '#lib/topology/topology.ts';
import { diagram, PAGES, table, withFlow } from './flow.ts';

describe('the picture of the flow', () => {
  test.each(PAGES)('in $file is the one topology.ts gives; else run npm run topology', ({ file, table }) => {
    const text = readFileSync(join(import.meta.dirname, '../..', file), 'utf8');
    expect(withFlow(text, { table })).toBe(text);
  });

  test('has every service and every kind a stage writes', () => {
    const picture = diagram();
    for (const service of SERVICES) expect(picture).toMatch(new RegExp(`(--> |==> )${service}\\b`));
    for (const { output } of Object.values(WIRING)) expect(picture).toContain(`k_${output}[(${output})]`);
    expect(picture).toContain('k_segment == "right behind its cause" ==> journey');
  });

  test('the table has a row a service', () => {
    expect(table().split('\n').length).toBe(SERVICES.length + 2);
  });

  test('a page without markers is refused', () => {
    expect(() => withFlow('# Recur', { table: false })).toThrow('needs the lines');
  });
});
