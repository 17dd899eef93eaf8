import { setTimeout as sleep } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { GetProfileRequest, ProfileServiceService } from '#gen/recur/profile/v1/profile_service.ts';
import { RawConnection, type RawRequest, rawRequest } from './raw-connection.ts';

export interface ReadingTask {
  readonly address: string;
  readonly token: string;
  readonly ids: readonly string[];
  readonly perSecond: number;
  readonly seconds: number;
}

export interface ReadingTimes {
  /** Of every call, ms, from the moment it was due. */
  readonly latencies: Float64Array;
  /** By how much each call left after it was due, ms. */
  readonly late: Float64Array;
}

const CONNECTIONS = 4;
const DEADLINE = '20S';
/** Calls without an answer at most, as the server takes 1,000 a connection: a call that is due beyond that waits here, which is part of its time. */
const MOST_OPEN = 2_000;

/** Calls GetProfile at a fixed rate, however long the answers take. */
async function readAtRate({ address, token, ids, perSecond, seconds }: ReadingTask): Promise<ReadingTimes> {
  const { path } = ProfileServiceService.getProfile;
  const headers = {
    'content-type': 'application/grpc',
    te: 'trailers',
    'grpc-timeout': DEADLINE,
    authorization: `Bearer ${token}`,
  };
  const requests = ids.map((value) => {
    const message = GetProfileRequest.encode({ customer: { $case: 'customerId', value }, readMask: undefined });
    return rawRequest(path, headers, message.finish());
  });
  const total = seconds * perSecond;
  const latencies = new Float64Array(total);
  const late = new Float64Array(total);
  let ended = 0;
  let failed: Error | undefined;
  let started = 0;
  const dueAt = (i: number) => started + (i * 1_000) / perSecond;
  const connections: RawConnection[] = [];
  for (let c = 0; c < CONNECTIONS; c++) {
    connections.push(
      await RawConnection.open(address, Math.ceil(total / CONNECTIONS), {
        ended: (call) => {
          const i = call * CONNECTIONS + c;
          latencies[i] = performance.now() - dueAt(i);
          ended++;
        },
        failed: (error) => {
          failed = error;
        },
      }),
    );
  }
  started = performance.now();
  for (let i = 0; i < total && failed === undefined; ) {
    const now = performance.now();
    for (; i < total && dueAt(i) <= now && i - ended < MOST_OPEN; i++) {
      late[i] = now - dueAt(i);
      (connections[i % CONNECTIONS] as RawConnection).call(requests[(i * 7_919) % requests.length] as RawRequest);
    }
    await sleep(1);
  }
  while (ended < total && failed === undefined) await sleep(1);
  for (const connection of connections) connection.close();
  if (failed !== undefined) throw failed;
  return { latencies, late };
}

parentPort?.postMessage(await readAtRate(workerData as ReadingTask));
