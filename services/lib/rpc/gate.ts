import { randomUUID } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { status } from '@grpc/grpc-js';
import { Histogram, type Registry } from 'prom-client';
import type { Logger } from '#lib/telemetry/logger.ts';
import { DURATION_BUCKETS } from '#lib/telemetry/metrics.ts';
import type { TraceContext } from '#lib/telemetry/trace.ts';
import { Call, type RawCall } from './call.ts';
import { permissionDenied, RpcError, unauthenticated } from './errors.ts';
import { toStatus } from './status-details.ts';
import { type ApiTokens, mayCall, type Principal } from './tokens.ts';

const BEARER = /^Bearer +(\S{1,512})$/i;

/** What every call passes through on its way in (who is it, may it, until when) and out (metrics, errors). */
export class Gate {
  readonly #tokens: ApiTokens;
  readonly #logger: Logger;
  readonly #defaultDeadlineMs: number;
  readonly #duration: Histogram<'method' | 'code'>;
  /** By code and method: finding one by its labels costs more than observing. */
  readonly #series = new Map<string, Histogram.Internal<'method' | 'code'>>();

  constructor(tokens: ApiTokens, logger: Logger, registry: Registry, defaultDeadlineMs: number) {
    this.#tokens = tokens;
    this.#logger = logger;
    this.#defaultDeadlineMs = defaultDeadlineMs;
    this.#duration = new Histogram({
      name: 'rpc_server_duration_seconds',
      help: 'Duration of gRPC calls by method and status code.',
      labelNames: ['method', 'code'],
      buckets: DURATION_BUCKETS,
      registers: [registry],
    });
  }

  /**
   * @param streaming streams may be meant to stay open: without a deadline they end with their connection
   * @throws RpcError when the caller is unknown or may not
   */
  enter(method: string, raw: RawCall, streaming: boolean, trace?: TraceContext): Call {
    const principal = this.authenticate(raw);
    if (!mayCall(principal, method)) throw permissionDenied(`The token "${principal.name}" may not call ${method}.`);
    const deadline = Number(raw.getDeadline());
    const missing = streaming ? Number.POSITIVE_INFINITY : Date.now() + this.#defaultDeadlineMs;
    return new Call(method, principal, Number.isFinite(deadline) ? deadline : missing, raw, trace);
  }

  authenticate(raw: RawCall): Principal {
    const [header] = raw.metadata.get('authorization');
    if (header === undefined) throw unauthenticated('Metadata "authorization" is missing: "Bearer <token>".');
    const token = BEARER.exec(String(header))?.[1];
    if (token === undefined) throw unauthenticated('Metadata "authorization" must be "Bearer <token>".');
    const principal = this.#tokens.authenticate(token);
    if (principal === undefined) throw unauthenticated('The token is not known.');
    return principal;
  }

  /** Counts the call; gives the status to answer with. */
  failed(method: string, startedAt: number, error: unknown): ReturnType<typeof toStatus> {
    const known = error instanceof RpcError ? error : undefined;
    const requestId = known === undefined ? randomUUID() : undefined;
    if (requestId !== undefined) this.#logger.error({ err: error, method, requestId }, 'call failed unexpectedly');
    const shown = known ?? new RpcError(status.INTERNAL, `Internal error ${requestId}.`);
    this.#observe(method, startedAt, shown.code);
    return toStatus(shown, requestId);
  }

  succeeded(method: string, startedAt: number): void {
    this.#observe(method, startedAt, status.OK);
  }

  #observe(method: string, startedAt: number, code: status): void {
    const key = `${code} ${method}`;
    let series = this.#series.get(key);
    if (series === undefined) {
      series = this.#duration.labels({ method, code: status[code] ?? String(code) });
      this.#series.set(key, series);
    }
    series.observe((performance.now() - startedAt) / 1000);
  }
}
