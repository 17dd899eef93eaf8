import { createReadStream } from 'node:fs';
import { mkdir, open, rm, statfs } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { type Engine, EngineError, type ReadLimits, type ReadRequest, type ReadResult } from '../engine/engine.ts';

/** Bounds of an export: its result lies on disk, so it may be larger and take longer than an answer from memory. */
export const EXPORT_LIMITS: ReadLimits = {
  seconds: 300,
  memoryBytes: 1 << 30,
  resultRows: 50_000_000,
  resultBytes: 4 * 2 ** 30,
  threads: 1,
};

/** The disk is the database's first of all. */
const MIN_FREE_BYTES = 2 * 2 ** 30;

export interface Spooled {
  readonly result: Omit<ReadResult, 'body'>;
  readonly size: number;
  /** Reading it to its end, or destroying it, leaves nothing behind. */
  readonly body: Readable;
}

/** A folder for results on their way to a client. A file in it has a name only while it is being written. */
export class Spool {
  readonly #folder: string;
  #next = 0;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** @param folder emptied */
  static async open(folder: string): Promise<Spool> {
    const whole = resolve(folder);
    await rm(whole, { recursive: true, force: true });
    await mkdir(whole, { recursive: true });
    return new Spool(whole);
  }

  async fill(engine: Engine, request: ReadRequest): Promise<Spooled> {
    const { bavail, bsize } = await statfs(this.#folder);
    if (bavail * bsize < MIN_FREE_BYTES)
      throw new EngineError(243, 'NOT_ENOUGH_SPACE', 'Less than 2 GB are free on the disk: nothing is exported');
    const file = join(this.#folder, String(this.#next++));
    try {
      const result = await engine.readInto(file, request);
      // A result without rows may leave no file in some formats.
      const handle = await open(file, 'a+');
      const { size } = await handle.stat();
      return { result, size, body: createReadStream(file, { fd: handle, start: 0 }) };
    } finally {
      await rm(file, { force: true });
    }
  }
}
