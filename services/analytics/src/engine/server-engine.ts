import { createWriteStream } from 'node:fs';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import {
  type ClickHouseClient,
  ClickHouseError,
  ClickHouseLogLevel,
  type ClickHouseSettings,
  createClient,
} from '@clickhouse/client';
import { type Engine, EngineError, type Params, parameterText, type ReadRequest, type ReadResult } from './engine.ts';

export interface ServerOptions {
  /** http://host:8123, may carry user and password. */
  readonly url: string;
  readonly user?: string | undefined;
  readonly password?: string | undefined;
  /** Several replicas: what is written is on a majority, and what is read has all of it. */
  readonly replicated: boolean;
}

/** DDL on a cluster waits for every replica. */
const COMMAND_MS = 600_000;
const READ_MS = 60_000;

/** One block becomes one part: nothing cuts it up, waits for more, or writes it later. */
const ONE_PART: ClickHouseSettings = {
  async_insert: 0,
  max_insert_threads: '1',
  max_insert_block_size: '1000000000',
  min_insert_block_size_rows: '1000000000',
  min_insert_block_size_bytes: '1000000000000',
  input_format_parallel_parsing: 0,
};
const QUORUM: ClickHouseSettings = { insert_quorum: 'auto', insert_quorum_parallel: 0 };
const ALL_WRITTEN: ClickHouseSettings = { select_sequential_consistency: '1' };

/** A ClickHouse server, or one replica of a cluster, over HTTP. */
export class ServerEngine implements Engine {
  /** Most of an insert is waiting: for the server, and for a quorum of replicas. */
  readonly insertsAtOnce = 4;
  readonly #client: ClickHouseClient;
  readonly #replicated: boolean;

  constructor({ url, user, password, replicated }: ServerOptions) {
    this.#replicated = replicated;
    this.#client = createClient({
      url,
      ...(user === undefined ? {} : { username: user }),
      ...(password === undefined ? {} : { password }),
      request_timeout: COMMAND_MS,
      // Errors are thrown; who catches them logs them.
      log: { level: ClickHouseLogLevel.OFF },
    });
  }

  async version(): Promise<string> {
    const [row] = await this.rows<{ version: string }>('SELECT version() AS version');
    return row?.version ?? '';
  }

  async command(sql: string, database?: string): Promise<void> {
    const settings = { wait_end_of_query: 1, ...(database === undefined ? {} : { database }) } as ClickHouseSettings;
    await inTheirTerms(() => this.#client.command({ query: sql, clickhouse_settings: settings }));
  }

  async rows<T>(sql: string, params: Params = {}): Promise<T[]> {
    return inTheirTerms(async () => {
      const result = await this.#client.query({
        query: sql,
        format: 'JSONEachRow',
        clickhouse_settings: {
          ...SAME_NUMBERS,
          ...(this.#replicated ? ALL_WRITTEN : {}),
          ...asIs(Object.fromEntries(Object.entries(params).map(([name, value]) => [name, parameterText(value)]))),
        },
        abort_signal: AbortSignal.timeout(READ_MS),
      });
      return (await result.json()) as T[];
    });
  }

  async insert(table: string, columns: readonly string[], block: Uint8Array): Promise<void> {
    const names = columns.map((name) => `\`${name}\``).join(', ');
    await inTheirTerms(async () => {
      const { stream } = await this.#client.exec({
        query: `INSERT INTO ${table} (${names}) FORMAT Native`,
        values: Readable.from([block], { objectMode: false }),
        clickhouse_settings: { ...ONE_PART, ...(this.#replicated ? QUORUM : {}), wait_end_of_query: 1 },
      });
      await buffer(stream);
    });
  }

  async read(request: ReadRequest): Promise<ReadResult> {
    return inTheirTerms(async () => {
      const { stream, figures } = await this.#reading(request);
      return { body: await buffer(stream), ...figures() };
    });
  }

  async readInto(file: string, request: ReadRequest): Promise<Omit<ReadResult, 'body'>> {
    return inTheirTerms(async () => {
      const { stream, figures } = await this.#reading(request);
      await pipeline(stream, createWriteStream(file, { flags: 'wx' }));
      return figures();
    });
  }

  async #reading({ sql, format, database, params, settings, limits }: ReadRequest) {
    const started = performance.now();
    const { stream, response_headers } = await this.#client.exec({
      query: sql,
      clickhouse_settings: {
        ...settings,
        ...asIs(params),
        database,
        default_format: format,
        // Errors come as such, not as the end of a result.
        wait_end_of_query: 1,
        max_execution_time: limits.seconds,
        max_memory_usage: String(limits.memoryBytes),
        max_result_rows: String(limits.resultRows),
        max_result_bytes: String(limits.resultBytes),
        max_threads: limits.threads,
        result_overflow_mode: 'throw',
        readonly: '1',
      } as ClickHouseSettings,
    });
    const summary = summaryOf(response_headers['x-clickhouse-summary']);
    const figures = () => ({
      rowsRead: Number(summary.read_rows ?? 0),
      bytesRead: Number(summary.read_bytes ?? 0),
      seconds: (performance.now() - started) / 1_000,
    });
    return { stream, figures };
  }

  async close(): Promise<void> {
    await this.#client.close();
  }
}

/** As the embedded engine answers, so that callers need not know who did. */
const SAME_NUMBERS: ClickHouseSettings = {
  output_format_json_quote_64bit_integers: 0,
  output_format_json_quote_decimals: 0,
};

/** The text of each parameter as the HTTP interface takes it; `query_params` of the client would escape it once more. */
const asIs = (params: Params): ClickHouseSettings =>
  Object.fromEntries(Object.entries(params).map(([name, value]) => [`param_${name}`, String(value)]));

function summaryOf(header: string | string[] | undefined): Record<string, string> {
  try {
    return JSON.parse(String(header ?? '{}')) as Record<string, string>;
  } catch {
    return {};
  }
}

async function inTheirTerms<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof ClickHouseError)
      throw new EngineError(Number(error.code), error.type ?? 'STD_EXCEPTION', error.message);
    throw error;
  }
}
