import { createWriteStream, existsSync } from 'node:fs';
import { rename, rm, stat } from 'node:fs/promises';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';
import { createGzip } from 'node:zlib';
import cliProgress from 'cli-progress';
import { ask, type Endpoint, type Question } from './endpoint.ts';
import { exportFormat } from './formats.ts';

export interface Exported {
  readonly bytes: number;
  readonly seconds: number;
}

const MB = 1_048_576;

/**
 * Writes a result to a file, in the format its name ends with. It is there whole, or not at all.
 * @param progress false: nothing is shown
 * @throws when the file exists and may not be replaced
 */
export async function exportTo(
  endpoint: Endpoint,
  question: Omit<Question, 'format'>,
  { file, replace, progress }: { file: string; replace: boolean; progress: boolean },
): Promise<Exported> {
  const { format, gzip } = exportFormat(file);
  if (!replace && existsSync(file)) throw new Error(`${file} exists already; --force replaces it`);
  const started = Date.now();
  const show = progress ? waiting(started) : undefined;
  const part = `${file}.part`;
  try {
    const { body, size } = await ask(endpoint, { ...question, format, settings: { export: '1' } }).finally(() =>
      show?.end(),
    );
    const bar = progress ? barOf(size) : undefined;
    let seen = 0;
    const count = new Transform({
      transform(chunk: Buffer, _, done) {
        seen += chunk.length;
        bar?.update(seen / MB);
        done(null, chunk);
      },
    });
    const packing = gzip ? [createGzip()] : [];
    await pipeline([Readable.fromWeb(body as ReadableStream), count, ...packing, createWriteStream(part)]);
    bar?.stop();
    await rename(part, file);
  } finally {
    await rm(part, { force: true });
  }
  return { bytes: (await stat(file)).size, seconds: (Date.now() - started) / 1_000 };
}

/** While the engine works nobody knows how far it is: the seconds show that it is not forgotten. */
function waiting(started: number): { end: () => void } {
  const show = () => process.stderr.write(`\r  asking … ${Math.round((Date.now() - started) / 1_000)} s`);
  const timer = setInterval(show, 500);
  return {
    end: () => {
      clearInterval(timer);
      process.stderr.write('\r\x1b[K');
    },
  };
}

function barOf(size: number | undefined): cliProgress.SingleBar {
  const format = size === undefined ? '  {value} MB' : '  {bar} {value} of {total} MB, {eta} s to go';
  const formatValue = (value: number, _: object, type: string) =>
    type === 'value' || type === 'total' ? value.toFixed(1) : String(value);
  const bar = new cliProgress.SingleBar({
    format,
    formatValue,
    hideCursor: true,
    clearOnComplete: true,
    stream: process.stderr,
  });
  bar.start(size === undefined ? 1 : size / MB, 0);
  return bar;
}
