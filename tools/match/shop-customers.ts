import type { FieldSpec } from '#lib/matching/fields.ts';
import type { Api } from '#tools/library/api.ts';
import { sql } from '#tools/library/sql.ts';
import type { Customers } from './customers.ts';
import { fieldsOf, type Options } from './options.ts';

const BATCH = 500;
/** Deeper ones, as in `address.geo.city`, are not looked at. */
const PART = /^[\p{L}\p{N}_ -]{1,64}$/u;

/**
 * The customers the shop has, with their traits in the clear: for the token's scope `profile.pii`. They stay in memory.
 * @param told how many of how many are read
 */
export async function shopCustomers(
  api: Pick<Api, 'profile'>,
  clickhouse: string,
  options: Options,
  told: (done: number, of: number) => void,
): Promise<Customers> {
  const found = await sql<{ customer_id: string }>(
    clickhouse,
    'SELECT customer_id FROM v_identities ORDER BY customer_id',
  );
  const traits: { customerId: string; values: Map<string, string> }[] = [];
  let masked = 0;
  for (let i = 0; i < found.length; i += BATCH) {
    const customerIds = found.slice(i, i + BATCH).map((row) => row.customer_id);
    const { profiles } = await api.profile.batchGetProfiles({ customerIds, readMask: ['traits'] });
    for (const { customerId, traits: all } of profiles) {
      masked += all.filter((t) => t.masked).length;
      const values = flat(all.map(({ name, valueJson }) => [name, valueJson]));
      if (values.size > 0) traits.push({ customerId, values });
    }
    told(Math.min(i + BATCH, found.length), found.length);
  }
  if (masked > 0 && traits.length === 0)
    throw new Error('personal traits are withheld: the token needs the scope profile.pii');
  const columns = [...new Set(traits.flatMap(({ values }) => [...values.keys()]))].sort();
  if (columns.length === 0) throw new Error('no customer of the shop has traits to compare');
  const specs: FieldSpec[] = fieldsOf(columns, options);
  return {
    specs,
    rows: traits.map(({ values }) => specs.map((spec) => values.get(spec.column))),
    refs: traits.map(({ customerId }) => customerId),
    known: traits.map(({ customerId }) => customerId),
  };
}

/** Traits as columns; of an address its parts. */
export function flat(traits: readonly (readonly [name: string, json: string])[]): Map<string, string> {
  const values = new Map<string, string>();
  for (const [name, json] of traits) {
    const value: unknown = json === '' ? undefined : JSON.parse(json);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      for (const [part, inner] of Object.entries(value)) if (PART.test(part)) put(values, spaced(part), inner);
    } else put(values, spaced(name), value);
  }
  return values;
}

function put(values: Map<string, string>, column: string, value: unknown): void {
  if (typeof value === 'string' && value !== '') values.set(column, value);
  else if (typeof value === 'number') values.set(column, String(value));
}

/** firstName and first_name are one column. */
function spaced(name: string): string {
  return name.replaceAll(/(\p{Ll})(\p{Lu})/gu, '$1_$2').toLowerCase();
}
