// One turn of `npm run bench -- sends`: what messaging takes to decide, from requests in the log to intents in log and Redis,
// each at the head of its channel's queue. Its last line is the result as JSON.
import { writeFileSync } from 'node:fs';
import { Session } from 'node:inspector/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type JetStreamManager, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { Redis } from 'ioredis';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { Decision, SendRequest } from '#gen/recur/log/v1/changes.ts';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import { decodeFrame, encodeFrame, type LogRecord } from '#lib/stream/frames.ts';
import { type LogMessage, LogReader } from '#lib/stream/log-reader.ts';
import { startStage } from '#lib/stream/stage.ts';
import { partitionOf, STREAMS, subjects } from '#lib/topology/topology.ts';
import type { CallResult } from '../src/channels/channel.ts';
import { OutboxMetrics } from '../src/outbox/metrics.ts';
import { Outbox } from '../src/outbox/outbox.ts';
import { messagingSpec } from '../src/stage.ts';
import { BegunMarks } from '../src/store/begun-marks.ts';
import { TemplateLibrary } from '../src/store/template-library.ts';
import { cause, DEFINITIONS, fateOf, idOf, MOMENT, pastOf, requestOf } from './audience.ts';

const [people, round, partitions] = ['PEOPLE', 'ROUND', 'PARTITIONS'].map((name) => Number(process.env[name])) as [
  number,
  number,
  number,
];
/** Of the customers, those who are asked for first, for compilers and caches. */
const WARM_UP = 0.2;
const FRAME = 500;
const DAY_MS = 86_400_000;
const PATIENCE_MS = 60_000;

const nats = await connect({ servers: process.env.NATS_URL ?? '' });
const redis = new Redis(process.env.REDIS_URL ?? '', { maxRetriesPerRequest: null });
const js = jetstream(nats);
const jsm: JetStreamManager = await jetstreamManager(nats);
const logger = pino({ level: 'warn' });

/** Appends to the log as identity and journey do: an event of each customer, and with `ask` what a journey made of it. */
async function append(count: number, bodiesOf: (i: number) => Uint8Array[], day: number, ask: boolean): Promise<void> {
  const timeMs = MOMENT + day * DAY_MS;
  const open: number[][] = Array.from({ length: partitions }, () => []);
  const flush = async (partition: number) => {
    const customers = open[partition] ?? [];
    open[partition] = [];
    const record = (i: number, kind: RecordKind, body: Uint8Array, originSeq = 0, originIndex = 0): LogRecord => {
      return { customerId: idOf(i), kind, timeMs, originSeq, originIndex, fromTimer: false, body };
    };
    const events = customers.flatMap((i) => bodiesOf(i).map((body) => record(i, RecordKind.RECORD_KIND_EVENT, body)));
    const told = { throughSeq: 0, ahead: 0, aheadSeq: 0, watermarkMs: timeMs };
    const { seq } = await js.publish(subjects.log(partition, 'event'), encodeFrame({ ...told, records: events }));
    const asked = customers.map((i, at) =>
      record(i, RecordKind.RECORD_KIND_SEND, SendRequest.encode(requestOf(i, day)).finish(), seq, at),
    );
    const step = encodeFrame({ ...told, throughSeq: seq, records: ask ? asked : [] });
    await js.publish(subjects.log(partition, 'step'), step);
  };
  for (let i = 0; i < count; i++) {
    const partition = partitionOf(idOf(i), partitions);
    if ((open[partition]?.push(i) ?? 0) === FRAME) await flush(partition);
  }
  for (let partition = 0; partition < partitions; partition++) await flush(partition);
}

/** Says as journey does that it has seen everything, the definitions messaging has just put into the log as well. */
async function cover(): Promise<void> {
  const throughSeq = (await nextSeq()) - 1;
  const frame = encodeFrame({ throughSeq, ahead: 0, aheadSeq: 0, watermarkMs: 0, records: [] });
  for (let p = 0; p < partitions; p++) await js.publish(subjects.log(p, 'step'), frame);
}

interface Used {
  readonly seconds: number;
  /** Of this process, all threads, µs. */
  readonly cpuUs: number;
  readonly redisUs: number;
}

/** Runs messaging until all that is in the log is decided and at the head of its queue, and then until nothing is pending. */
async function decideAll(expectedCalls: number): Promise<Used> {
  const ends = await Promise.all(
    Array.from({ length: partitions }, (_, p) =>
      jsm.streams.getMessage(STREAMS.log.name, { last_by_subj: `log.${p}.event` }),
    ),
  );
  let calls = 0;
  const answer = Promise.withResolvers<CallResult>();
  const channel = {
    // As many as there are: how fast a provider answers is not what is measured. The rate is kept count of, and never reached.
    ...{ name: 'email', connections: people, perSecond: 1_000_000, compose: () => calls++, call: () => answer.promise },
  };
  const library = new TemplateLibrary();
  const registry = new Registry();
  const outbox = new Outbox({
    ...{ channels: new Map([['email', channel]]), marks: new BegunMarks(redis, Date.now) },
    ...{ metrics: new OutboxMetrics(registry), logger, now: Date.now, live: false },
  });
  const spec = messagingSpec({ shopTimeZone: 'Asia/Shanghai', library, onPending: outbox.accept });
  const definitions = {
    start: async (tell: (d: (typeof DEFINITIONS)[number]) => void) => {
      for (const definition of DEFINITIONS) tell(definition);
    },
    stop: () => {},
  };
  const profiled = await profiler();
  const redisFrom = await redisCpuUs();
  const from = process.cpuUsage();
  const begun = performance.now();
  const stage = await startStage(spec, {
    ...{ nats, redis, partitions, clock: 'event', replicaId: 'bench', logger, registry, definitions },
  });
  const committed = async () => {
    const positions = await Promise.all(ends.map((_, p) => redis.get(`{messaging.${p}}:position`)));
    return ends.every((end, p) => (JSON.parse(positions[p] ?? '{"seq":0}') as { seq: number }).seq >= (end?.seq ?? 0));
  };
  await until('decided', async () => calls >= expectedCalls && (await committed()));
  const seconds = (performance.now() - begun) / 1_000;
  const { user, system } = process.cpuUsage(from);
  const redisUs = (await redisCpuUs()) - redisFrom;
  await profiled?.();
  await cover();
  answer.resolve({ kind: 'accepted', providerId: '' });
  await until('settled', async () => {
    const left = await Promise.all(ends.map((_, p) => redis.hlen(`{messaging.${p}}:p`)));
    return left.every((n) => n === 0);
  });
  if (calls !== expectedCalls) throw new Error(`${calls} calls, not ${expectedCalls}`);
  await outbox.stop();
  await stage.stop();
  return { seconds, cpuUs: user + system, redisUs };
}

/** Takes a CPU profile of what is measured into CPU_PROF, if that is given, until what it returns is called. */
async function profiler(): Promise<(() => Promise<void>) | undefined> {
  const dir = process.env.CPU_PROF;
  if (!dir) return undefined;
  const session = new Session();
  session.connect();
  await session.post('Profiler.enable');
  await session.post('Profiler.start');
  return async () => {
    const { profile } = await session.post('Profiler.stop');
    writeFileSync(join(dir, `${Date.now()}.cpuprofile`), JSON.stringify(profile));
    session.disconnect();
  };
}

/** Of all its threads, µs. */
async function redisCpuUs(): Promise<number> {
  const used = [...(await redis.info('cpu')).matchAll(/^used_cpu_(?:sys|user):([\d.]+)/gm)];
  return used.reduce((sum, [, seconds]) => sum + Number(seconds) * 1e6, 0);
}

async function until(what: string, check: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + PATIENCE_MS;
  while (!(await check())) {
    if (performance.now() > end) throw new Error(`not ${what} after ${PATIENCE_MS / 1_000} s`);
    await sleep(5);
  }
}

/** Decisions written since a place in the log, by reason. */
async function reasonsSince(fromSeq: number): Promise<Record<string, number>> {
  const reasons: Record<string, number> = {};
  const last = (await jsm.streams.info(STREAMS.log.name)).state.last_seq;
  const reader = new LogReader({ js, stream: STREAMS.log.name, filters: ['log.>'] }, fromSeq, (e) => console.error(e));
  const take = ({ subject, data }: LogMessage) => {
    if (!subject.endsWith('.delivery')) return;
    for (const { kind, body } of decodeFrame(data).records) {
      if (kind !== RecordKind.RECORD_KIND_DECISION) continue;
      const { reason } = Decision.decode(body);
      reasons[reason] = (reasons[reason] ?? 0) + 1;
    }
  };
  for (let seq = fromSeq - 1; seq < last; ) {
    await reader.wait();
    for (const message of reader.take()) {
      seq = message.seq;
      take(message);
    }
  }
  await reader.stop();
  return reasons;
}

const nextSeq = async () => (await jsm.streams.info(STREAMS.log.name)).state.last_seq + 1;

/** What must have been decided on a day, when on the day before `before` customers were asked for. */
function expectedOn(count: number, before: number): Record<string, number> {
  const expected: Record<string, number> = {};
  for (let i = 0; i < count; i++) expected[fateOf(i)] = (expected[fateOf(i)] ?? 0) + 1;
  // Those who were left in peace over night are written to in the morning.
  for (let i = 0; i < before; i++) if (fateOf(i) === 'quiet_hours') expected.ok = (expected.ok ?? 0) + 1;
  return expected;
}

async function dayOf(day: number, count: number, before: number): Promise<Used & { reasons: Record<string, number> }> {
  const from = await nextSeq();
  await append(count, () => [cause()], day, true);
  const expected = expectedOn(count, before);
  // Nobody has had the newsletter before the first day.
  const capped = day === 1 ? (expected.frequency_cap ?? 0) : 0;
  const used = await decideAll((expected.ok ?? 0) + capped);
  const reasons = await reasonsSince(from);
  for (const [reason, n] of day === 1 ? [] : Object.entries(expected)) {
    if (reasons[reason] !== n) throw new Error(`day ${day}: ${n} decisions for ${reason}, not ${reasons[reason]}`);
  }
  return { ...used, reasons };
}

if (round === 0) {
  await append(people, pastOf, 0, false);
  await decideAll(0);
  await dayOf(1, people, 0);
} else {
  const warm = Math.round(people * WARM_UP);
  const day = 2 * round;
  await dayOf(day, warm, people);
  const { seconds, cpuUs, redisUs, reasons } = await dayOf(day + 1, people, warm);
  const decisions = Object.values(reasons).reduce((sum, n) => sum + n, 0);
  console.log(JSON.stringify({ decisions, seconds, cpuUs, redisUs, reasons }));
}
redis.disconnect();
await nats.close();
