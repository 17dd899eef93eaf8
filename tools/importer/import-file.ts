import { mkdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { type Assembled, Assembler } from './assemble.ts';
import { BadRows } from './bad-rows.ts';
import { Checkpoint, fingerprint } from './checkpoint.ts';
import { columnsOf, MappingError, parseMapping } from './mapping.ts';
import { readRows } from './rows.ts';
import { encoded, type OutgoingEvent, Sender, type Target } from './send.ts';

export interface ImportOptions {
  readonly mappingFile: string;
  readonly file: string;
  readonly target: Target;
  readonly batch: number;
  readonly workDir: string;
  readonly fromStart: boolean;
  /** Called after each batch the service has stored. */
  readonly onBatch?: (events: number) => void;
}

export interface ImportResult {
  readonly rows: number;
  readonly events: number;
  readonly skipped: number;
  readonly bad: number;
  readonly badFile: string;
  /** Line an interrupted run went on at; 0 for a new one. */
  readonly resumedAt: number;
  /** An earlier run had imported all of it; nothing was sent. */
  readonly wasComplete: boolean;
  readonly ms: number;
}

export interface ProgressSink {
  update(bytes: number, total: number, events: number): void;
}

/** Requests may have 500 KB. */
const MAX_BATCH_BYTES = 400_000;

/** Imports one file; see cli.ts for what it promises. */
export async function importFile(options: ImportOptions, progress: ProgressSink): Promise<ImportResult> {
  const started = performance.now();
  const { file, mappingFile, workDir, target } = options;
  const text = readFileSync(mappingFile, 'utf8');
  const mapping = parseMapping(text);
  const size = statSync(file).size;
  mkdirSync(workDir, { recursive: true });
  const name = `${mapping.name}.${basename(file)}`;
  const checkpoint = new Checkpoint(join(workDir, `${name}.json`), fingerprint(file, text, target.writeKey));
  if (options.fromStart) checkpoint.forget();
  const from = checkpoint.read();
  const bad = new BadRows(join(workDir, `${basename(file)}.bad.csv`), from.line > 0);
  const totals = { rows: 0, events: 0, skipped: 0 };
  const result = () => ({
    ...totals,
    bad: bad.count,
    badFile: bad.file,
    resumedAt: from.complete ? 0 : from.line,
    wasComplete: from.complete,
    ms: performance.now() - started,
  });
  if (from.complete) return result();

  const sender = new Sender(target);
  const assembler = new Assembler(mapping, from);
  const waiting = new Waiting(options.batch);
  let bytes = 0;

  /** Sends what waits, then remembers that all before the open groups is stored. */
  const flush = async (next: number, complete = false) => {
    for (const batch of waiting.take()) {
      const refused = await sender.send(batch);
      for (const { event, reason } of refused) bad.add(event.lines, reason);
      totals.events += batch.length - refused.length;
      options.onBatch?.(totals.events);
    }
    checkpoint.save({ ...assembler.position(next), complete });
    progress.update(bytes, size, totals.events);
  };
  const take = async (made: Iterable<Assembled>, next: number) => {
    for (const a of made) {
      if (a.kind === 'skipped') totals.skipped++;
      else if (a.kind === 'bad') bad.add(a.lines, a.reason);
      else for (const event of a.events) waiting.add(encoded(event));
      // Between two groups only: a position in the middle of one would lose its other parts.
      if (waiting.full) await flush(next);
    }
  };

  try {
    let next = 1;
    let checked = false;
    const onBytes = (n: number) => {
      bytes = n;
    };
    for await (const row of readRows(file, { delimiter: mapping.csv.delimiter, onBytes })) {
      if (!checked && row.cells) checked = checkColumns(columnsOf(mapping), row.cells);
      next = row.line + 1;
      if (row.line < from.line) continue;
      totals.rows++;
      await take(assembler.add(row), next);
    }
    await take(assembler.end(), next);
    await flush(next, true);
  } finally {
    await sender.close();
  }
  return result();
}

function checkColumns(wanted: Set<string>, cells: Readonly<Record<string, string>>): boolean {
  const missing = [...wanted].filter((c) => !(c in cells));
  if (missing.length === 0) return true;
  throw new MappingError(`The file has no column ${missing.join(', ')}. It has: ${Object.keys(cells).join(', ')}.`);
}

/** Events that are to be sent, cut into batches the service takes. */
class Waiting {
  private readonly most: number;
  private batches: OutgoingEvent[][] = [];
  private bytes = 0;

  constructor(most: number) {
    this.most = most;
  }

  /** There is a batch that takes no more. */
  get full(): boolean {
    return this.batches.length > 1 || (this.batches[0]?.length ?? 0) >= this.most || this.bytes >= MAX_BATCH_BYTES;
  }

  add(event: OutgoingEvent): void {
    const last = this.batches.at(-1);
    if (last && last.length < this.most && this.bytes + event.bytes <= MAX_BATCH_BYTES) {
      last.push(event);
      this.bytes += event.bytes;
    } else {
      this.batches.push([event]);
      this.bytes = event.bytes;
    }
  }

  take(): OutgoingEvent[][] {
    const batches = this.batches;
    this.batches = [];
    this.bytes = 0;
    return batches;
  }
}
