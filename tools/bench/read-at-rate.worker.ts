import { setTimeout as sleep } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { GetProfileRequest, ProfileServiceService } from '#gen/recur/profile/v1/profile_service.ts';
import { Caller } from './send.ts';

export interface ReadingTask {
  readonly address: string;
  readonly token: string;
  readonly ids: readonly string[];
  readonly perSecond: number;
  readonly seconds: number;
}

export interface ReadingTimes {
  /** Of every call, ms, from the moment it was due. */
  readonly latencies: readonly number[];
  /** The most by which a call left after it was due, ms. */
  readonly late: number;
}

const CONNECTIONS = 4;

/** Calls GetProfile at a fixed rate, however long the answers take. */
async function readAtRate({ address, token, ids, perSecond, seconds }: ReadingTask): Promise<ReadingTimes> {
  const { path, responseDeserialize } = ProfileServiceService.getProfile;
  const callers = Array.from({ length: CONNECTIONS }, () => new Caller(address, token));
  const requests = ids.map((value) =>
    Buffer.from(GetProfileRequest.encode({ customer: { $case: 'customerId', value }, readMask: undefined }).finish()),
  );
  const total = seconds * perSecond;
  const latencies: number[] = [];
  let failed: unknown;
  const started = performance.now();
  let late = 0;
  for (let i = 0; i < total; ) {
    const now = performance.now();
    for (; i < total && started + (i * 1_000) / perSecond <= now; i++) {
      const due = started + (i * 1_000) / perSecond;
      late = Math.max(late, now - due);
      const request = requests[(i * 7_919) % requests.length] as Buffer;
      (callers[i % CONNECTIONS] as Caller).call(path, request, responseDeserialize).then(
        () => latencies.push(performance.now() - due),
        (error: unknown) => {
          failed = error;
        },
      );
    }
    await sleep(1);
  }
  while (latencies.length < total && failed === undefined) await sleep(1);
  for (const caller of callers) caller.close();
  if (failed !== undefined) throw failed;
  return { latencies, late };
}

parentPort?.postMessage(await readAtRate(workerData as ReadingTask));
