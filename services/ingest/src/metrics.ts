import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import { DURATION_BUCKETS } from '#lib/telemetry/metrics.ts';
import type { DropReason } from './core/identifiers.ts';
import { EVENT_TYPES } from './core/normalise.ts';
import type { FrameWriterObserver } from './nats/frame-writer.ts';
import type { Accepted, LogRefusal } from './processor.ts';

const TYPE_NAMES = ['', ...Object.keys(EVENT_TYPES)];

/** Why a request was refused. */
export type Refusal = 'invalid' | 'unauthorized' | 'too_large' | 'full' | 'away';

/** What ingest counts. Everything is counted per request or per frame, nothing per event. */
export class IngestMetrics implements FrameWriterObserver {
  readonly #stored: Counter<'source' | 'type'>;
  readonly #refused: Counter<'source' | 'reason'>;
  readonly #dropped: Counter<'type' | 'reason'>;
  readonly #frames: Counter<'outcome'>;
  readonly #frameRecords: Histogram;
  readonly #frameBytes: Counter;
  readonly #publish: Histogram;

  constructor(registry: Registry, pendingBytes: () => number) {
    const registers = [registry];
    this.#stored = new Counter({
      name: 'recur_ingest_events_total',
      help: 'Events acknowledged: they are in the log.',
      labelNames: ['source', 'type'],
      registers,
    });
    this.#refused = new Counter({
      name: 'recur_ingest_refused_requests_total',
      help: 'Requests refused, nothing of them acknowledged. The source is empty when the write key is not known.',
      labelNames: ['source', 'reason'],
      registers,
    });
    this.#dropped = new Counter({
      name: 'recur_ingest_dropped_identifiers_total',
      help: 'Identifiers left out of events: values that stand for nobody, addresses and numbers that cannot be.',
      labelNames: ['type', 'reason'],
      registers,
    });
    this.#frames = new Counter({
      name: 'recur_ingest_frames_total',
      help: 'Frames published to INGEST, by what became of them; full also counts requests refused before.',
      labelNames: ['outcome'],
      registers,
    });
    this.#frameRecords = new Histogram({
      name: 'recur_ingest_frame_records',
      help: 'Events in a frame.',
      buckets: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000],
      registers,
    });
    this.#frameBytes = new Counter({
      name: 'recur_ingest_frame_bytes_total',
      help: 'Bytes of stored frames.',
      registers,
    });
    this.#publish = new Histogram({
      name: 'recur_ingest_publish_seconds',
      help: 'From sending a frame to its acknowledgement.',
      buckets: DURATION_BUCKETS,
      registers,
    });
    new Gauge({
      name: 'recur_ingest_pending_bytes',
      help: 'Bytes accepted and not stored yet.',
      registers,
      collect() {
        this.set(pendingBytes());
      },
    });
  }

  accepted({ counts }: Accepted): void {
    for (const [source, byType] of counts) {
      for (let type = 1; type < byType.length; type++) {
        const count = byType[type] as number;
        if (count > 0) this.#stored.inc({ source, type: TYPE_NAMES[type] as string }, count);
      }
    }
  }

  refusedRequest(source: string, reason: Refusal): void {
    this.#refused.inc({ source, reason });
  }

  readonly dropped = (type: string, reason: DropReason): void => {
    // Types of external ids come from senders.
    this.#dropped.inc({ type: KNOWN_TYPES.has(type) ? type : 'other', reason });
  };

  stored(records: number, bytes: number, seconds: number): void {
    this.#frames.inc({ outcome: 'stored' });
    this.#frameRecords.observe(records);
    this.#frameBytes.inc(bytes);
    this.#publish.observe(seconds);
  }

  refused(reason: LogRefusal['reason']): void {
    this.#frames.inc({ outcome: reason });
  }
}

const KNOWN_TYPES = new Set([
  'user_id',
  'anonymous_id',
  'email',
  'phone',
  'device_id',
  'openid',
  'unionid',
  'member_no',
  'shop_account',
]);
