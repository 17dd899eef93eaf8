// The schedule of predictions on the live clock: the built service, asked every two seconds instead of every night, on CDNOW's
// orders as if the last had come yesterday.
import { jetstream } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { expect, it } from 'vitest';
import {
  type PredictionRun,
  PredictionRunStatus,
  PredictionServiceClient,
} from '#gen/recur/analytics/v1/prediction_service.ts';
import { IdentityChange } from '#gen/recur/log/v1/changes.ts';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import { createClient } from '#lib/rpc/client.ts';
import { spawnService, testSecrets } from '#tools/testkit/service.ts';
import { withServers } from '#tools/testkit/with-servers.ts';
import { cdnowOrders } from './cdnow.ts';
import { DAY, order, record, SampleLog } from './sample-log.ts';

const servers = withServers({ nats: true, redis: true });
const HORIZON_DAYS = 90;
const dayOf = (ms: number) => new Date(ms).toISOString().slice(0, 10);

it('by night: what will be, and what would have been said a horizon ago, each once', { timeout: 180_000 }, async () => {
  const service = await spawnService('analytics', {
    NATS_URL: servers.nats.url,
    REDIS_URL: servers.redis.url,
    SHOP_TIME_ZONE: 'UTC',
    PREDICTIONS_AT: '*/2 * * * * *',
    PREDICTION_HORIZON_DAYS: String(HORIZON_DAYS),
  });
  const nats = await connect({ servers: servers.nats.url });
  const settings = { token: testSecrets().apiToken, deadlineMs: 20_000 };
  const predictions = createClient(PredictionServiceClient, service.grpcAddr, settings);
  try {
    const orders = cdnowOrders();
    const shift = Date.now() - DAY - Math.max(...orders.map((o) => o.timeMs));
    const records = orders.map((o, i) => order(o.customer, `o${i}`, o.timeMs + shift, o.amount));
    const identified = IdentityChange.encode(IdentityChange.fromPartial({ created: true, identified: true })).finish();
    const customers = [...new Map(orders.map((o) => [o.customer, o.timeMs + shift]))];
    const log = new SampleLog().add(
      0,
      customers.map(([id, timeMs]) => record(id, RecordKind.RECORD_KIND_IDENTITY, timeMs, identified)),
    );
    for (let i = 0; i < records.length; i += 1_000) log.add(0, records.slice(i, i + 1_000));
    for (const { partition, data } of log.frames) await jetstream(nats).publish(`log.${partition}.event`, data);

    const made = async (): Promise<PredictionRun[]> => {
      const { runs } = await predictions.listPredictionRuns({ pageSize: 0 });
      return runs.filter((r) => r.status === PredictionRunStatus.PREDICTION_RUN_STATUS_DONE && r.customers > 0);
    };
    const deadline = Date.now() + 120_000;
    while ((await made()).length < 2) {
      if (Date.now() > deadline) throw new Error(`no run came by itself: ${service.logs(10)}`);
      await new Promise((r) => setTimeout(r, 200));
    }
    const first = await made();
    // It goes off again and again, and finds them made.
    await new Promise((r) => setTimeout(r, 5_000));
    // Who has been told of a run is counted after it is done.
    const oncePerRun = (runs: PredictionRun[]) => runs.map(({ runId, startedAtMs }) => ({ runId, startedAtMs }));
    expect(oncePerRun(await made())).toEqual(oncePerRun(first));
    const today = dayOf(Date.now());
    const before = dayOf(Date.parse(today) - HORIZON_DAYS * DAY);
    const names = (await made()).map((run) => run.runId).sort();
    expect(names).toEqual([`backtest-${before}-${HORIZON_DAYS}`, `schedule-${today}`]);
    const { run } = await predictions.getPredictionRun({ runId: `schedule-${today}` });
    expect(run).toMatchObject({ asOf: today, horizonDays: HORIZON_DAYS });
    expect(run?.customers).toBeGreaterThan(0);
  } finally {
    predictions.close();
    await nats.close();
    await service.stop();
  }
});
