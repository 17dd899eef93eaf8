// Where the time of processes went, from .cpuprofile files: node tools/bench/profile.ts DIR [how many lines]
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { mapOf } from '#lib/telemetry/stack.ts';
import { ROOT } from '#tools/servers/node.ts';

interface CallFrame {
  readonly functionName: string;
  readonly url: string;
  readonly lineNumber: number;
  readonly columnNumber: number;
}

interface CpuProfile {
  readonly nodes: readonly { readonly id: number; readonly callFrame: CallFrame }[];
  /** µs of the monotonic clock. */
  readonly startTime: number;
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

/** µs of the monotonic clock; only what ran within counts. */
export interface Window {
  readonly fromUs: number;
  readonly toUs: number;
}

export interface ProcessProfile {
  readonly name: string;
  /** µs in which something ran. */
  readonly busyUs: number;
  readonly functions: readonly Spent[];
  readonly places: readonly Spent[];
}

export interface Spent {
  readonly what: string;
  readonly us: number;
}

export const monotonicUs = (): number => Number(process.hrtime.bigint() / 1000n);

/** One per process that left profiles in a folder of its name; the last of each, as a restart leaves another. */
export function readProfiles(dir: string, windows: readonly Window[] = []): ProcessProfile[] {
  const names = readdirSync(dir, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return names.flatMap(({ name }) => {
    const files = readdirSync(join(dir, name)).filter((file) => file.endsWith('.cpuprofile'));
    const last = files.sort().at(-1);
    if (last === undefined) return [];
    return [summarise(name, JSON.parse(readFileSync(join(dir, name, last), 'utf8')) as CpuProfile, windows)];
  });
}

function summarise(name: string, profile: CpuProfile, windows: readonly Window[]): ProcessProfile {
  const selfUs = new Map<number, number>();
  let now = profile.startTime;
  profile.samples.forEach((id, i) => {
    const delta = profile.timeDeltas[i] ?? 0;
    now += delta;
    if (windows.length > 0 && !windows.some(({ fromUs, toUs }) => now >= fromUs && now < toUs)) return;
    // A sample's time is that until the next; the one before it would be off by one sample either way.
    selfUs.set(id, (selfUs.get(id) ?? 0) + (profile.timeDeltas[i + 1] ?? 0));
  });
  const functions = new Map<string, number>();
  const places = new Map<string, number>();
  let busyUs = 0;
  for (const { id, callFrame } of profile.nodes) {
    const us = selfUs.get(id) ?? 0;
    if (us === 0 || callFrame.functionName === '(idle)') continue;
    busyUs += us;
    const place = placeOf(callFrame);
    add(functions, `${callFrame.functionName || '(anonymous)'} ${place.line}`, us);
    add(places, place.file, us);
  }
  return { name, busyUs, functions: ranked(functions), places: ranked(places) };
}

function add(to: Map<string, number>, what: string, us: number): void {
  to.set(what, (to.get(what) ?? 0) + us);
}

function ranked(spent: Map<string, number>): Spent[] {
  return [...spent].map(([what, us]) => ({ what, us })).sort((a, b) => b.us - a.us);
}

/** The package a file belongs to. */
const PACKAGE = /node_modules\/((?:@[^/]+\/)?[^/]+)\/(?!.*node_modules)/;

/** A place in a bundle as a place in our sources; packages, in the bundle or beside it, by their name. */
function placeOf({ url, lineNumber, columnNumber }: CallFrame): { line: string; file: string } {
  if (url === '') return { line: '', file: '(V8 and native code)' };
  if (url.startsWith('node:')) return { line: `${url}:${lineNumber + 1}`, file: 'node: (the runtime)' };
  const path = url.startsWith('file:') ? fileURLToPath(url) : url;
  const entry = mapOf(path)?.findEntry(lineNumber, columnNumber);
  const mapped = entry !== undefined && 'originalSource' in entry ? entry : undefined;
  const file = mapped === undefined ? path : sourcePath(path, mapped.originalSource);
  const line = (mapped?.originalLine ?? lineNumber) + 1;
  const name = PACKAGE.exec(file)?.[1] ?? relative(ROOT, file);
  return { line: `${name}:${line}`, file: name };
}

/** Sources are named from where the bundle was built; what was measured is a copy of it. */
function sourcePath(bundle: string, source: string): string {
  if (source.startsWith('file:')) return fileURLToPath(source);
  return join(ROOT, 'dist', basename(dirname(bundle)), source);
}

/**
 * @param cpuUs CPU per event of the first thread by process, measured outside: samples count the time a process waited for a core as well, so only
 *   their shares are used
 */
export function profileText(
  profiles: readonly ProcessProfile[],
  lines = 10,
  cpuUs: Readonly<Record<string, number>> = {},
): string {
  const text: string[] = [];
  for (const { name, busyUs, functions, places } of profiles) {
    const all = cpuUs[name];
    const row = ({ what, us }: Spent) => {
      const share = us / busyUs;
      const per = all === undefined ? '' : `${(share * all).toFixed(2).padStart(7)} µs`;
      return `  ${(100 * share).toFixed(1).padStart(5)} % ${per}  ${what}`;
    };
    text.push(all === undefined ? name : `${name}: ${all.toFixed(1)} µs CPU per event in JavaScript's thread`);
    text.push(...functions.slice(0, lines).map(row), '  by file or package:', ...places.slice(0, lines).map(row), '');
  }
  return text.join('\n');
}

if (import.meta.main) {
  const [dir, lines] = process.argv.slice(2);
  if (dir === undefined || !existsSync(dir)) {
    console.error('usage: node tools/bench/profile.ts DIR [lines]');
    process.exit(2);
  }
  console.log(profileText(readProfiles(dir), Number(lines ?? 10)));
}
