import { readFileSync } from 'node:fs';
import { SourceMap } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/** A frame of a bundle, as V8 writes it: `    at name (file:///app/main.js:12:34)`. */
const FRAME = /(file:\/\/\/[^\s()]+\.js):(\d+):(\d+)/g;

/** By file; undefined: there is none. */
const maps = new Map<string, SourceMap | undefined>();

/**
 * The stack with places in our sources instead of places in the bundle. Maps are read when the first error is told: Node's
 * `--enable-source-maps` reads them when a process starts, which takes a quarter of the time until it is ready.
 */
export function sourceStack(stack: string): string {
  return stack.replace(FRAME, (place, url: string, line: string, column: string) => {
    const path = fileURLToPath(url);
    const entry = mapOf(path)?.findEntry(Number(line) - 1, Number(column) - 1);
    if (entry === undefined || !('originalSource' in entry)) return place;
    return `${sourceOf(path, entry.originalSource)}:${entry.originalLine + 1}:${entry.originalColumn + 1}`;
  });
}

/** Of a bundle, by its path; undefined where there is none beside it. Each is read once. */
export function mapOf(path: string): SourceMap | undefined {
  if (!maps.has(path)) maps.set(path, read(`${path}.map`));
  return maps.get(path);
}

function read(path: string): SourceMap | undefined {
  try {
    return new SourceMap(JSON.parse(readFileSync(path, 'utf8')));
  } catch {
    return undefined;
  }
}

/** Sources are named from the map's folder, dist/<service>: from the root of the repository they are the same everywhere. */
const sourceOf = (path: string, source: string): string =>
  relative(join(dirname(path), '../..'), join(dirname(path), source));
