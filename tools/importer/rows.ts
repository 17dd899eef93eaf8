import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { parse } from 'csv-parse';
import type { Row } from './build.ts';

export interface RowsOptions {
  readonly delimiter: string;
  /** Called with the bytes of the file read so far. */
  readonly onBytes: (n: number) => void;
}

/** Rows of a CSV file, gzipped or not, one after the other; a malformed one comes as a BadLine. */
export async function* readRows(file: string, options: RowsOptions): AsyncGenerator<Row | BadLine> {
  const source = createReadStream(file);
  source.on('data', () => options.onBytes(source.bytesRead));
  const bad: BadLine[] = [];
  const parser = parse({
    columns: true,
    delimiter: options.delimiter,
    bom: true,
    info: true,
    relax_column_count: false,
    skip_records_with_error: true,
    max_record_size: 1_000_000,
    on_skip: (error) => {
      bad.push({ line: Number(error?.lines ?? 0), reason: error?.message ?? 'malformed', cells: undefined });
    },
  });
  // Errors come out of the loop below; and when that ends early, everything is closed.
  if (file.endsWith('.gz')) pipeline(source, createGunzip(), parser, () => {});
  else pipeline(source, parser, () => {});
  for await (const { record, info } of parser as AsyncIterable<{
    record: Record<string, string>;
    info: { lines: number };
  }>) {
    yield* bad.splice(0);
    yield { line: info.lines, cells: record };
  }
  yield* bad.splice(0);
}

export interface BadLine {
  readonly line: number;
  readonly reason: string;
  readonly cells: undefined;
}
