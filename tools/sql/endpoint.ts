/** A ClickHouse HTTP endpoint: ours, or that of a server. */
export interface Endpoint {
  readonly url: string;
  readonly user: string;
  /** API token, or password of a server's user; empty on the machine itself. */
  readonly token: string;
}

export interface Question {
  readonly sql: string;
  readonly format: string;
  readonly params: Readonly<Record<string, string>>;
  readonly settings?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

export interface Answer {
  readonly body: ReadableStream<Uint8Array>;
  readonly size: number | undefined;
  /** The format it is in: a FORMAT clause decides. */
  readonly format: string;
  /** What the engine says it took, seconds. */
  readonly seconds: number;
}

/** What the endpoint or the network said, and what to do about it. */
export class SqlError extends Error {
  readonly code: number | undefined;
  readonly hint: string | undefined;

  constructor(message: string, code?: number, hint?: string) {
    super(message);
    this.code = code;
    this.hint = hint;
  }
}

/** By ClickHouse's number. */
const HINTS: Readonly<Record<number, string | undefined>> = {
  36: undefined,
  47: 'DESCRIBE <table> lists its columns.',
  60: 'SHOW TABLES lists tables and views; begin with v_orders, v_customers, v_health.',
  159: 'It took longer than a query may. Narrow it in time (WHERE time >= …), ask a rollup_ table, or write it to a file with --export.',
  164: 'Only reading is possible here: SELECT, WITH, SHOW, DESCRIBE, EXPLAIN, EXISTS.',
  202: 'Others are asking as well. Try again in a moment.',
  241: 'It needed more memory than a query may have. Narrow it, ask for fewer columns, or GROUP BY something with fewer values.',
  396: 'Add LIMIT, or write the whole result to a file: --export result.parquet',
  456: 'Give the value of a {name:Type} in the query by --param name=value',
  497: 'The endpoint lets nobody out of the database. Own tables: SHOW TABLES.',
  516: 'Give an API token with --token (or RECUR_SQL_TOKEN); its scopes must cover recur.analytics.',
};

/** @throws SqlError */
export async function ask(
  endpoint: Endpoint,
  { sql, format, params, settings = {}, signal }: Question,
): Promise<Answer> {
  const url = new URL(endpoint.url);
  for (const [name, value] of Object.entries({ database: 'recur', default_format: format, ...settings }))
    url.searchParams.set(name, value);
  for (const [name, value] of Object.entries(params)) url.searchParams.set(`param_${name}`, value);
  const headers: Record<string, string> = { 'Content-Type': 'text/plain; charset=utf-8' };
  if (endpoint.token !== '') {
    headers['X-ClickHouse-User'] = endpoint.user;
    headers['X-ClickHouse-Key'] = endpoint.token;
  }
  let answer: Response;
  try {
    answer = await fetch(url, { method: 'POST', body: sql, headers, signal: signal ?? null });
  } catch (error) {
    if (signal?.aborted) throw new SqlError('Cancelled');
    const cause = ((error as Error).cause as NodeJS.ErrnoException | undefined)?.code ?? (error as Error).message;
    throw new SqlError(
      `Nothing answers at ${endpoint.url} (${cause})`,
      undefined,
      'Is the cluster up? npm run status shows it, npm run up starts one.',
    );
  }
  if (!answer.ok) throw await errorOf(answer, endpoint);
  const length = answer.headers.get('content-length');
  return {
    body: answer.body ?? new ReadableStream({ start: (controller) => controller.close() }),
    size: length === null ? undefined : Number(length),
    format: answer.headers.get('x-clickhouse-format') ?? format,
    seconds:
      Number(
        (JSON.parse(answer.headers.get('x-clickhouse-summary') ?? '{}') as { elapsed_ns?: string }).elapsed_ns ?? 0,
      ) / 1e9,
  };
}

async function errorOf(answer: Response, endpoint: Endpoint): Promise<SqlError> {
  const text = (await answer.text()).trim();
  const code = Number(answer.headers.get('x-clickhouse-exception-code') ?? Number.NaN);
  if (Number.isNaN(code))
    return new SqlError(
      `${endpoint.url} answers HTTP ${answer.status}: ${text.slice(0, 200)}`,
      undefined,
      'Is this the ClickHouse HTTP endpoint? npm run status shows its address.',
    );
  const message = /DB::Exception: ([\s\S]*?)(?: \(version [^)]*\)(?:\(official build\)\))?)?$/.exec(text)?.[1] ?? text;
  return new SqlError(message, code, HINTS[code]);
}

export async function textOf(endpoint: Endpoint, question: Question): Promise<string> {
  const { body } = await ask(endpoint, question);
  return new Response(body).text();
}
