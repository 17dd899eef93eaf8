import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ChdbEngine } from '../src/engine/chdb-engine.ts';
import { EngineError } from '../src/engine/engine.ts';
import { statusOf } from '../src/http/answers.ts';

const LIMITS = { seconds: 30, memoryBytes: 1 << 30, resultRows: 1_000_000, resultBytes: 64 << 20, threads: 1 };
/** What the embedded engine refuses, for it has no users: a server would do it. */
const ACCESS_CONTROL =
  /^(CREATE|ALTER|DROP) (OR REPLACE )?(SETTINGS PROFILE|USER|ROLE|QUOTA|ROW POLICY)\b|^(GRANT|REVOKE)\b/i;
const INSERT = /^INSERT INTO (\S+) \((.*)\) FORMAT Native$/;

export interface ClickHouseOverHttp {
  readonly url: string;
  /** Queries as they arrived, with their settings. */
  readonly seen: { readonly query: string; readonly settings: Readonly<Record<string, string>> }[];
  close(): Promise<void>;
}

/**
 * The embedded engine behind ClickHouse's HTTP interface, writing included: there is no ClickHouse server to be had here, so
 * this stands for its transport. What executes is ClickHouse itself.
 */
export async function clickHouseOverHttp(engine: ChdbEngine, port = 0): Promise<ClickHouseOverHttp> {
  const seen: ClickHouseOverHttp['seen'] = [];
  const server = createServer((request, response) => {
    void answer(engine, seen, request, response);
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function answer(
  engine: ChdbEngine,
  seen: ClickHouseOverHttp['seen'],
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  const body = Buffer.concat(chunks);
  const all = Object.fromEntries(new URL(request.url ?? '/', 'http://x').searchParams);
  const query = (all.query ?? body.toString()).trim();
  seen.push({ query, settings: all });
  try {
    const result = await execute(engine, query, all, body);
    response.setHeader('X-ClickHouse-Summary', JSON.stringify({ read_rows: '0', read_bytes: '0' }));
    response.writeHead(200).end(result);
  } catch (error) {
    const known = error instanceof EngineError ? error : new EngineError(1001, 'STD_EXCEPTION', String(error));
    response.setHeader('X-ClickHouse-Exception-Code', String(known.code));
    response.writeHead(statusOf(known)).end(`${known.text} (version 26.7)\n`);
  }
}

async function execute(
  engine: ChdbEngine,
  query: string,
  all: Readonly<Record<string, string>>,
  body: Buffer,
): Promise<Uint8Array> {
  const [, table, columns] = INSERT.exec(query) ?? [];
  if (table !== undefined && columns !== undefined) {
    const names = columns.split(', ').map((name) => name.replaceAll('`', ''));
    await engine.insert(table, names, body);
    return Buffer.alloc(0);
  }
  if (ACCESS_CONTROL.test(query)) return Buffer.alloc(0);
  if (!/^(SELECT|WITH|SHOW|EXPLAIN)/i.test(query)) {
    await engine.command(query);
    return Buffer.alloc(0);
  }
  const format = all.default_format ?? /FORMAT (\w+)$/.exec(query)?.[1] ?? 'TabSeparated';
  const named = Object.entries(all).filter(([name]) => name.startsWith('param_'));
  const params = Object.fromEntries(named.map(([name, value]) => [name.slice(6), value]));
  const resultRows = Number(all.max_result_rows ?? LIMITS.resultRows);
  const limits = { ...LIMITS, resultRows };
  const result = await engine.read({ sql: query, format, database: 'recur', params, settings: {}, limits });
  return result.body;
}
