import { mkdir, open, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { drainPending, type QueryOptions, Session } from 'chdb';
import {
  type Engine,
  EngineError,
  type Params,
  parameterText,
  quote,
  type ReadRequest,
  type ReadResult,
} from './engine.ts';

/**
 * One block becomes one part only when the engine neither cuts it up nor waits for more, and one thread writes it.
 */
const ONE_PART = [
  'max_insert_threads = 1',
  'min_insert_block_size_rows = 1000000000',
  'min_insert_block_size_bytes = 1000000000000',
  'max_block_size = 1000000000',
].join(', ');

/**
 * ClickHouse inside this process. Queries run on libuv's threads and do not hold up the event loop. The folder belongs to
 * one process at a time: the engine's own lock sees to it.
 */
export class ChdbEngine implements Engine {
  /** Each holds one of libuv's four threads; queries and files need some, too. */
  readonly insertsAtOnce = 2;
  readonly #folder: string;
  readonly #blocks: string;
  readonly #main: Session;
  /** A session does one thing at a time. */
  readonly #writers: Session[];
  #nextBlock = 0;

  private constructor(folder: string, blocks: string) {
    this.#folder = folder;
    this.#blocks = blocks;
    this.#main = new Session(folder);
    this.#writers = Array.from({ length: this.insertsAtOnce }, () => new Session(folder));
  }

  /** @param dataDir gets two folders: `clickhouse` (the database) and `blocks` (what is being inserted). */
  static async open(dataDir: string): Promise<ChdbEngine> {
    const blocks = resolve(dataDir, 'blocks');
    await rm(blocks, { recursive: true, force: true });
    await mkdir(blocks, { recursive: true });
    try {
      return new ChdbEngine(resolve(dataDir, 'clickhouse'), blocks);
    } catch (error) {
      throw new Error(`cannot open the ClickHouse folder in ${dataDir}: ${(error as Error).message}`, { cause: error });
    }
  }

  async version(): Promise<string> {
    const [row] = await this.rows<{ version: string }>('SELECT version() AS version');
    return row?.version ?? '';
  }

  /** On a connection of its own: what takes long (a rollup) must not keep the others (the sink) waiting. */
  async command(sql: string, database?: string): Promise<void> {
    const session = new Session(this.#folder);
    try {
      if (database !== undefined) await run(session, `USE ${quoteName(database)}`, {});
      await run(session, sql, {});
    } finally {
      session.close();
    }
  }

  async rows<T>(sql: string, params: Params = {}): Promise<T[]> {
    const bound = Object.entries(params).map(([name, value]) => `SET param_${name} = ${quote(parameterText(value))}`);
    const session = bound.length > 0 ? new Session(this.#folder) : this.#main;
    try {
      if (bound.length > 0) await run(session, bound.join('; '), {});
      const result = await run(session, sql, { format: 'JSONEachRow' });
      const text = Buffer.from(result.body).toString();
      return text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as T]));
    } finally {
      if (session !== this.#main) session.close();
    }
  }

  async insert(table: string, columns: readonly string[], block: Uint8Array): Promise<void> {
    // Not inline: chDB takes an empty line in the data for its end, and a Native block may well contain one.
    const number = this.#nextBlock++;
    const file = join(this.#blocks, `${number}.native`);
    const writer = this.#writers[number % this.#writers.length] as Session;
    try {
      const handle = await open(file, 'wx');
      try {
        // One call, where writeFile would come back to the event loop every 512 KB.
        const { bytesWritten } = await handle.write(block);
        if (bytesWritten !== block.length) throw new Error(`${file}: ${bytesWritten} of ${block.length} bytes written`);
      } finally {
        await handle.close();
      }
      const names = columns.map(quoteName).join(', ');
      await run(
        writer,
        `INSERT INTO ${table} (${names}) SELECT ${names} FROM file(${quote(file)}, Native) SETTINGS ${ONE_PART}`,
        {},
      );
    } finally {
      await rm(file, { force: true });
    }
  }

  async read(request: ReadRequest): Promise<ReadResult> {
    return this.#reading(request, request.sql);
  }

  async readInto(file: string, request: ReadRequest): Promise<Omit<ReadResult, 'body'>> {
    return this.#reading(request, `${request.sql}\nINTO OUTFILE ${quote(file)} FORMAT ${request.format}`);
  }

  async #reading(request: ReadRequest, sql: string): Promise<ReadResult> {
    const { limits } = request;
    const settings = Object.entries({
      ...request.settings,
      max_execution_time: String(limits.seconds),
      max_memory_usage: String(limits.memoryBytes),
      max_result_rows: String(limits.resultRows),
      max_result_bytes: String(limits.resultBytes),
      result_overflow_mode: 'throw',
      max_threads: String(limits.threads),
      allow_introspection_functions: '0',
    }).map(([name, value]) => `${name} = ${quote(value)}`);
    const params = Object.entries(request.params).map(([name, value]) => `param_${name} = ${quote(value)}`);
    // A connection for this query alone: what it sets ends with it, and readonly cannot be taken back.
    const session = new Session(this.#folder);
    try {
      await run(session, `USE ${quoteName(request.database)}`, {});
      await run(session, `SET ${[...settings, ...params].join(', ')}`, {});
      await run(session, 'SET readonly = 1', {});
      return await run(session, sql, { format: request.format });
    } finally {
      session.close();
    }
  }

  async close(): Promise<void> {
    this.#main.close();
    for (const writer of this.#writers) writer.close();
    await drainPending();
  }
}

const quoteName = (name: string): string => `\`${name.replace(/\\/g, '\\\\').replace(/`/g, '\\`')}\``;

async function run(session: Session, sql: string, options: QueryOptions): Promise<ReadResult> {
  try {
    const result = await session.queryAsync(sql, options);
    return { body: result.bytes(), rowsRead: result.rowsRead, bytesRead: result.bytesRead, seconds: result.elapsed };
  } catch (error) {
    throw EngineError.parse((error as Error).message);
  }
}
