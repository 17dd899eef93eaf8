import { Delivery } from '#gen/recur/log/v1/changes.ts';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import { failPoint } from '#lib/stream/fail-points.ts';
import type { OutcomeRecord, PartitionHandle } from '#lib/stream/processor.ts';
import type { TraceContext } from '#lib/telemetry/trace.ts';
import { OUTBOX } from './lane.ts';

const MAX_RECORDS = 256;
const RETRY_MS = 500;

/** What became of one send, on its way into the log. `handle` may change while it waits: the partition was reopened. */
export interface Settled {
  readonly key: string;
  readonly customerId: string;
  readonly delivery: Delivery;
  readonly trace: TraceContext | undefined;
  handle: PartitionHandle;
}

/**
 * Writes outcomes to the log, many per append: one append at a time for each partition, with everything that came
 * together meanwhile.
 */
export class OutcomeWriter {
  private readonly waiting = new Map<PartitionHandle, Settled[]>();
  private readonly writing = new Set<PartitionHandle>();
  private readonly onStored: (settled: readonly Settled[]) => void;
  private readonly onLost: (settled: readonly Settled[]) => void;
  private idle: (() => void)[] = [];

  /** @param onLost the partition has another owner: what is here can be told to nobody */
  constructor(onStored: (settled: readonly Settled[]) => void, onLost: (settled: readonly Settled[]) => void) {
    this.onStored = onStored;
    this.onLost = onLost;
  }

  add(settled: Settled): void {
    const list = this.waiting.get(settled.handle);
    if (list) list.push(settled);
    else this.waiting.set(settled.handle, [settled]);
    if (!this.writing.has(settled.handle)) {
      this.writing.add(settled.handle);
      // After whatever else settles in this turn of the event loop.
      setImmediate(() => void this.drain(settled.handle));
    }
  }

  /** Resolves once nothing waits. */
  async flush(): Promise<void> {
    if (this.writing.size > 0) await new Promise<void>((resolve) => this.idle.push(resolve));
  }

  private async drain(handle: PartitionHandle): Promise<void> {
    for (let list = this.waiting.get(handle); list; list = this.waiting.get(handle)) {
      const batch = list.splice(0, MAX_RECORDS);
      if (list.length === 0) this.waiting.delete(handle);
      const traces = batch.flatMap(({ trace }) => trace ?? []);
      if (await write(handle, batch.map(recordOf), traces)) this.onStored(batch);
      else this.onLost(batch);
    }
    this.writing.delete(handle);
    if (this.writing.size === 0) for (const resolve of this.idle.splice(0)) resolve();
  }
}

/** Repeats until stored; false once the partition is lost. */
async function write(
  handle: PartitionHandle,
  records: OutcomeRecord[],
  traces: readonly TraceContext[],
): Promise<boolean> {
  while (handle.owned) {
    try {
      failPoint(OUTBOX, 'before_commit');
      await handle.append(records, traces);
      failPoint(OUTBOX, 'after_commit');
      return true;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
  return false;
}

function recordOf({ key, customerId, delivery }: Settled): OutcomeRecord {
  const body = Delivery.encode(delivery).finish();
  return { customerId, kind: RecordKind.RECORD_KIND_DELIVERY, body, clearsPending: key };
}
