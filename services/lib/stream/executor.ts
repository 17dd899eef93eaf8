import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import type { BatchInput, BatchResult, Position, Sweep } from './batch.ts';
import { BatchRun, type InForce } from './batch-run.ts';
import { bodyOf, type LogRecord } from './frames.ts';
import { type Layout, NEWEST } from './layout.ts';
import type { ActiveDefinition, StageSpec, Stored } from './processor.ts';
import { type Entry, encodeEntry, storeEntry } from './states.ts';
import type { Step } from './steps.ts';

/** What the kit itself acts on. */
const OWN: ReadonlySet<RecordKind> = new Set([
  RecordKind.RECORD_KIND_DEFINITION,
  RecordKind.RECORD_KIND_MERGED,
  RecordKind.RECORD_KIND_HANDOVER,
  RecordKind.RECORD_KIND_RESTART,
  RecordKind.RECORD_KIND_HISTORY,
  RecordKind.RECORD_KIND_RESTORED,
]);

/**
 * The kit's pure core: runs a processor over the steps of a batch. Reads and writes nothing; the same arguments give the
 * same result, which is what lets a new owner repeat an interrupted batch without publishing it twice.
 */
export class Executor<S, D> implements InForce<S, D> {
  readonly definitions: Map<string, ActiveDefinition>;
  sweeps: Sweep[];
  private compiled: D;
  private readonly spec: StageSpec<S, D>;
  private readonly partition: number;
  private readonly partitions: number;

  constructor(
    spec: StageSpec<S, D>,
    where: { partition: number; partitions: number },
    definitions: readonly ActiveDefinition[] = [],
    sweeps: readonly Sweep[] = [],
  ) {
    this.spec = spec;
    this.partition = where.partition;
    this.partitions = where.partitions;
    this.definitions = new Map(definitions.map((d) => [`${d.kind}/${d.id}`, d]));
    this.sweeps = sweeps.map((s) => ({ ...s }));
    this.compiled = this.compile();
  }

  /** Takes out of steps about to be run the records that mean nothing to the processor. */
  skim(steps: readonly Step[]): void {
    if (this.spec.processor.concerns === undefined) return;
    for (const step of steps) if (step.record !== undefined && !this.concerns(step.record)) step.record = undefined;
  }

  private concerns(record: LogRecord): boolean {
    const { kind, clearsPending } = record;
    if (OWN.has(kind) || clearsPending) return true;
    try {
      return this.spec.processor.concerns?.(kind, bodyOf(record), this.compiled) !== false;
    } catch {
      // What cannot be read is for `process` to refuse.
      return true;
    }
  }

  run(from: Position, input: BatchInput<S>): BatchResult {
    return new BatchRun(this, this.spec.processor, input, from, this.partition, this.partitions).run();
  }

  get current(): D {
    return this.compiled;
  }

  /** Puts a revision in force. Returns false when it, or a later one, already is. */
  define(def: ActiveDefinition): boolean {
    const key = `${def.kind}/${def.id}`;
    if ((this.definitions.get(key)?.revision ?? -1) >= def.revision) return false;
    this.definitions.set(key, { ...def, body: Uint8Array.from(def.body) });
    this.compiled = this.compile();
    const { processor } = this.spec;
    const { kind, id, revision, deleted } = def;
    const change = { kind, id, revision, deleted };
    if (processor.sweep && processor.sweeps?.(change) !== false) this.sweeps.push({ ...change, cursor: '' });
    return true;
  }

  encode(entry: Entry<S>, layout: Layout = NEWEST): Uint8Array {
    return encodeEntry(entry, this.spec.codec, layout);
  }

  store(entry: Entry<S>, layout: Layout): Stored {
    return storeEntry(entry, this.spec.codec, layout);
  }

  encodeState(state: S): Uint8Array {
    return this.spec.codec.encode(state);
  }

  decodeState(bytes: Uint8Array): S {
    return this.spec.codec.decode(bytes);
  }

  private compile(): D {
    const active = [...this.definitions.values()].filter((d) => !d.deleted);
    return this.spec.definitions?.compile(active) as D;
  }
}
