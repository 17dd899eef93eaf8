import { createHash } from 'node:crypto';
import { sql } from '#tools/library/sql.ts';
import { enrolmentsOf, messagesOf, profilesOf, segmentsOf } from './customers.ts';
import { mailsIn } from './mails.ts';
import type { ShopCluster } from './shop-cluster.ts';
import { rowsOf, TABLES } from './tables.ts';

/** What became of a history: by name of what was looked at, sorted lines of text. */
export type Outcome = ReadonlyMap<string, readonly string[]>;

/** Every table, every state of every customer, every mail: all that must not depend on who crashed when. */
export async function outcomeOf({ api, endpoints }: ShopCluster): Promise<Outcome> {
  const url = endpoints.clickhouseHttp;
  const outcome = new Map<string, string[]>();
  for (const table of Object.keys(TABLES)) outcome.set(`table ${table}`, await rowsOf(url, table));
  const ids = (await sql<{ id: string }>(url, 'SELECT customer_id AS id FROM v_identities ORDER BY id')).map(
    (r) => r.id,
  );
  outcome.set('profiles', lines(await profilesOf(api, ids)));
  outcome.set('segments and classes', lines(await segmentsOf(api, ids)));
  outcome.set('enrolments', lines(await enrolmentsOf(api, ids)));
  // When the provider answered, and how it came to be known, is not part of what happened to the customer.
  const messages = (await messagesOf(api, ids)).map(({ customerId, messages: list }) => ({
    customerId,
    messages: list.map(({ providerId: _p, settledAtMs: _s, reason, ...rest }) => ({
      ...rest,
      reason: reason === FOUND ? '' : reason,
    })),
  }));
  outcome.set('messages', lines(messages));
  outcome.set('mails', await mailsIn(endpoints.mailboxHttp));
  return outcome;
}

/** How a send whose answer was lost came to be known as sent. */
const FOUND = 'found by its Message-ID';

export function digestsOf(outcome: Outcome): Record<string, string> {
  const digest = (list: readonly string[]) => createHash('sha256').update(list.join('\n')).digest('hex').slice(0, 16);
  return Object.fromEntries([...outcome].map(([what, list]) => [what, `${list.length} ${digest(list)}`]));
}

const lines = (values: readonly unknown[]): string[] =>
  values.map((value) => JSON.stringify(value, bytesAsText)).sort();

/** Where in the log an enrolment's event is: frames are cut otherwise when somebody died. */
const PLACES = new Set(['triggerSeq', 'triggerIndex']);

function bytesAsText(name: string, value: unknown): unknown {
  if (PLACES.has(name)) return undefined;
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  const buffer = value as { type?: string; data?: number[] } | null;
  return buffer?.type === 'Buffer' && Array.isArray(buffer.data) ? Buffer.from(buffer.data).toString('base64') : value;
}
