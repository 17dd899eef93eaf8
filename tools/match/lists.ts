import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Link } from '#lib/matching/match.ts';
import type { Customers } from './customers.ts';
import type { Found } from './result-file.ts';

/**
 * The lists people read: accepted.csv, review.csv (with a .json each) and groups.csv. Without `values` they name customers by
 * line or id and say of each field how well it agrees, not what is in it.
 */
export function writeLists(dir: string, found: Found, customers: Customers, values: boolean): string[] {
  const written: string[] = [];
  const write = (name: string, text: string) => {
    writeFileSync(join(dir, name), text, { mode: 0o600 });
    written.push(join(dir, name));
  };
  for (const list of ['accepted', 'review'] as const) {
    const rows = found[list].map((link) => rowOf(link, customers, values));
    write(`${list}.csv`, csv([headOf(found, customers, values), ...rows]));
    write(
      `${list}.json`,
      JSON.stringify(
        found[list].map((link) => entryOf(link, customers, values)),
        null,
        1,
      ),
    );
  }
  const { refs } = customers;
  const groups = found.groups.map((group, i) => [refs[i] as string, refs[group] as string]);
  write('groups.csv', csv([['customer', 'same_person_as'], ...groups]));
  return written;
}

function headOf({ weights }: Found, { specs }: Customers, values: boolean): string[] {
  const columns = specs.flatMap(({ name }) => (values ? [`a ${name}`, `b ${name}`] : []));
  return ['probability', 'a', 'b', ...weights.map(({ name }) => name), ...columns];
}

function rowOf({ a, b, probability, findings }: Link, { refs, specs, rows }: Customers, values: boolean): string[] {
  const shown = specs.flatMap((_, f) => (values ? [rows[a]?.[f] ?? '', rows[b]?.[f] ?? ''] : []));
  const said = findings.map(({ level, bits }) => (level === 'missing' ? level : `${level} (${signed(bits)})`));
  return [probability.toFixed(6), refs[a] as string, refs[b] as string, ...said, ...shown];
}

function entryOf({ a, b, probability, findings }: Link, { refs, specs, rows }: Customers, values: boolean) {
  const said = findings.map(({ name, level, bits }) => ({ field: name, level, bits: Number(bits.toFixed(2)) }));
  const shown = (row: number) => Object.fromEntries(specs.map(({ name }, f) => [name, rows[row]?.[f] ?? '']));
  return {
    probability,
    a: refs[a],
    b: refs[b],
    findings: said,
    ...(values && { a_values: shown(a), b_values: shown(b) }),
  };
}

function signed(bits: number): string {
  return `${bits < 0 ? '' : '+'}${bits.toFixed(1)}`;
}

export function csv(rows: readonly (readonly string[])[]): string {
  return `${rows.map((row) => row.map(cell).join(',')).join('\r\n')}\r\n`;
}

/** What customers write must not become a formula in somebody's spreadsheet; numbers with a sign may. */
function cell(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) && !/^[+-]?\d+(\.\d+)?$/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
