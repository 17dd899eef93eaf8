import { setTimeout as sleep } from 'node:timers/promises';
import { Client, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { Pool } from 'undici';
import { IngestServiceService } from '#gen/recur/ingest/v1/ingest_service.ts';
import { releaseEndedCalls } from '#lib/rpc/ended-calls.ts';
import type { Batch } from './batches.ts';

/** Sends one request; resolves when it was accepted, also after having been told to wait. */
export type Send = (batch: Batch) => Promise<void>;

export interface Sender {
  readonly send: Send;
  /** Requests that were told to come again later. */
  readonly refused: () => number;
  close(): Promise<void>;
}

const PATIENCE_MS = 60_000;
const RETRY_MS = 20;

/** @param writeKeys by channel */
export function httpSender(url: string, writeKeys: Readonly<Record<string, string>>, connections: number): Sender {
  const pool = new Pool(url, { connections, pipelining: 1, bodyTimeout: PATIENCE_MS, headersTimeout: PATIENCE_MS });
  const auth = Object.fromEntries(
    Object.entries(writeKeys).map(([source, key]) => [source, `Basic ${Buffer.from(`${key}:`).toString('base64')}`]),
  );
  let refused = 0;
  return {
    refused: () => refused,
    close: () => pool.destroy(),
    send: (batch) =>
      insist(async () => {
        const { statusCode, body } = await pool.request({
          path: '/v1/batch',
          method: 'POST',
          headers: { 'content-type': 'application/json', authorization: auth[batch.channel] ?? '' },
          body: batch.http,
        });
        const text = await body.text();
        if (statusCode === 200) return true;
        if (statusCode !== 429 && statusCode < 500) throw new Error(`HTTP ${statusCode}: ${text.slice(0, 300)}`);
        refused++;
        return false;
      }),
  };
}

/** Sends `SendEvents` as bytes encoded before. */
export function grpcSender(address: string, token: string, connections = 1): Sender {
  const { path, responseDeserialize } = IngestServiceService.sendEvents;
  const calls = Array.from({ length: connections }, () => new Caller(address, token));
  let next = 0;
  let refused = 0;
  return {
    refused: () => refused,
    close: async () => {
      for (const each of calls) each.close();
    },
    send: ({ grpc }) =>
      insist(async () => {
        const caller = calls[next++ % calls.length] as Caller;
        const code = await caller.call(path, grpc, responseDeserialize);
        if (code === status.OK) return true;
        refused++;
        return false;
      }),
  };
}

/** gRPC calls with a request that is encoded already. */
export class Caller {
  readonly #client: Client;
  readonly #metadata = new Metadata();

  constructor(address: string, token: string) {
    releaseEndedCalls();
    // A connection of its own, not one shared with other clients of this address.
    this.#client = new Client(address, credentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1 });
    this.#metadata.set('authorization', `Bearer ${token}`);
  }

  /** OK, or the code of a refusal that may pass. @throws every other error */
  call(path: string, request: Buffer, decode: (bytes: Buffer) => unknown): Promise<status> {
    return new Promise((resolve, reject) => {
      const done = (error: ServiceError | null) => {
        if (error === null) resolve(status.OK);
        else if (error.code === status.RESOURCE_EXHAUSTED || error.code === status.UNAVAILABLE) resolve(error.code);
        else reject(error);
      };
      const deadline = Date.now() + PATIENCE_MS;
      this.#client.makeUnaryRequest(path, asItIs, decode, request, this.#metadata, { deadline }, done);
    });
  }

  close(): void {
    this.#client.close();
  }
}

const asItIs = (bytes: Buffer): Buffer => bytes;

async function insist(attempt: () => Promise<boolean>): Promise<void> {
  const until = Date.now() + PATIENCE_MS;
  while (!(await attempt())) {
    if (Date.now() > until) throw new Error(`refused for ${PATIENCE_MS / 1000} s`);
    await sleep(RETRY_MS);
  }
}

/** Sends all, in order, so many at a time. */
export async function sendAll(batches: readonly Batch[], concurrency: number, sendOne: Send): Promise<void> {
  let next = 0;
  const lane = async () => {
    while (next < batches.length) await sendOne(batches[next++] as Batch);
  };
  await Promise.all(Array.from({ length: concurrency }, lane));
}

/** Sends them over and over for a time; how many requests were answered in it, and in how many seconds. */
export async function sendFor<T>(
  items: readonly T[],
  concurrency: number,
  seconds: number,
  sendOne: (item: T) => Promise<unknown>,
): Promise<{ requests: number; seconds: number }> {
  const started = performance.now();
  const end = started + seconds * 1000;
  let next = 0;
  let requests = 0;
  const lane = async () => {
    while (performance.now() < end) {
      await sendOne(items[next++ % items.length] as T);
      requests++;
    }
  };
  await Promise.all(Array.from({ length: concurrency }, lane));
  return { requests, seconds: (performance.now() - started) / 1000 };
}
