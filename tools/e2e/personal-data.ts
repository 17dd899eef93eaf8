import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DeliverPolicy, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { sql } from '#tools/library/sql.ts';

/** Where a word was found. */
export interface Finding {
  readonly where: string;
  readonly word: string;
}

/** How much was looked through: a search that looked at nothing finds nothing. */
export interface Searched {
  readonly findings: Finding[];
  readonly looked: number;
}

/** Looks for each of `words` in a text, whatever the case; bytes are looked at as they are. */
function search(where: string, text: Buffer | string, words: readonly string[], findings: Finding[]): void {
  // Latin 1 and UTF-8 agree in what identifiers are made of; Chinese is compared byte by byte.
  const hay = (typeof text === 'string' ? Buffer.from(text) : text).toString('latin1').toLowerCase();
  for (const word of words) {
    const needle = Buffer.from(word).toString('latin1').toLowerCase();
    if (hay.includes(needle) && !findings.some((f) => f.where === where && f.word === word))
      findings.push({ where, word });
  }
}

/** All logs of a cluster but the mailbox's, which stands for the world outside. */
export function searchLogs(dir: string, words: readonly string[]): Searched {
  const findings: Finding[] = [];
  const files = readdirSync(join(dir, 'logs')).filter((name) => !name.startsWith('mailbox'));
  let looked = 0;
  for (const name of files) {
    const text = readFileSync(join(dir, 'logs', name));
    looked += text.length;
    search(`log ${name}`, text, words, findings);
  }
  return { findings, looked };
}

/** Every message of every stream, also those behind buckets: subject, headers and body. */
export async function searchStreams(natsUrl: string, words: readonly string[]): Promise<Searched> {
  const findings: Finding[] = [];
  let looked = 0;
  const nats = await connect({ servers: natsUrl });
  try {
    const js = jetstream(nats);
    for await (const { config, state } of (await jetstreamManager(nats)).streams.list()) {
      if (state.messages === 0) continue;
      const consumer = await js.consumers.get(config.name, { deliver_policy: DeliverPolicy.All });
      const messages = await consumer.consume();
      for await (const message of messages) {
        const headers = message.headers?.keys().map((key) => `${key}: ${message.headers?.values(key).join()}`) ?? [];
        search(`stream ${config.name}`, [message.subject, ...headers].join('\n'), words, findings);
        search(`stream ${config.name}`, Buffer.from(message.data), words, findings);
        looked++;
        if (message.info.pending === 0) break;
      }
      await messages.close();
    }
  } finally {
    await nats.close();
  }
  return { findings, looked };
}

/** Every column of every table of ClickHouse that can hold text, with whatever type it has. */
export async function searchTables(url: string, words: readonly string[]): Promise<Searched> {
  const columns = await sql<{ table: string; name: string }>(
    url,
    `SELECT table, name FROM system.columns WHERE database = 'recur' AND match(type, 'String|JSON|Enum')
       AND table IN (SELECT name FROM system.tables WHERE database = 'recur' AND engine NOT LIKE '%View' AND NOT startsWith(name, 'rollup_next'))`,
  );
  const findings: Finding[] = [];
  for (const { table, name } of columns) {
    // Not the word itself: the query would be found in its own log.
    const found = words.map(
      (word) => `countIf(position(lower(toString(\`${name}\`)), lower(unhex('${hex(word)}'))) > 0)`,
    );
    const [row] = await sql<{ found: number[] }>(url, `SELECT [${found.join(', ')}] AS found FROM recur.\`${table}\``);
    for (const [i, count] of (row?.found ?? []).entries()) {
      if (count > 0) findings.push({ where: `table ${table}`, word: words[i] as string });
    }
  }
  return { findings, looked: columns.length };
}

const hex = (word: string) => Buffer.from(word).toString('hex');
