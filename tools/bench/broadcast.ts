import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { Template } from '#gen/recur/messaging/v1/template.ts';
import { Segment } from '#gen/recur/segmentation/v1/segment.ts';
import { stageTag } from '#lib/stream/partition-store.ts';
import type { Cluster } from '#tools/cluster/cluster.ts';
import { type Api, closeApi, connectApi } from '#tools/library/api.ts';
import { until } from '#tools/library/progress.ts';
import { type Book, SIMULATOR_KEYS } from '#tools/provider-simulator/simulator.ts';
import type { ShopEvent } from '#tools/sample-shop/events.ts';
import { Child } from '#tools/servers/child.ts';
import { pinnedNode, plainEnv, ROOT, saysOk } from '#tools/servers/node.ts';
import { privatePort } from '#tools/servers/ports.ts';
import { deleteWithUs } from '#tools/servers/watchdog.ts';
import { Arrival } from './arrival.ts';
import { batchesOf } from './batches.ts';
import { processesOf, startBenchCluster } from './cluster.ts';
import { cpuBetween, perEvent, readCpu, total } from './cpu.ts';
import { startJourney } from './definitions.ts';
import type { BenchOptions } from './options.ts';
import { monotonicUs, profileText, readProfiles } from './profile.ts';
import { type BenchResult, short, whole } from './result.ts';
import { grpcSender, sendAll } from './send.ts';

const PEOPLE = 100_000;
/** Asked a second, and the most calls a second messaging may be told that a provider allows. */
const PER_SECOND = 5_000;
const CONNECTIONS = 64;
const PATIENCE_MS = 900_000;

const JOURNEY = `
id: opening
name: Opening
definition:
  trigger: { api: {} }
  start: tell
  nodes:
    - { id: tell, message: { channel: sms, template_id: opening, purpose: marketing, next: told } }
    - { id: told, exit: { reason: told } }
`;

function* members(people: number): Generator<ShopEvent> {
  for (let i = 0; i < people; i++) {
    const who = { channel: 'web' as const, userId: `member-${i}`, timestamp: new Date().toISOString() };
    const phone = `+86139${String(i).padStart(8, '0')}`;
    yield { ...who, type: 'identify', messageId: `who-${i}`, traits: { phone, firstName: 'Anna' } };
    yield { ...who, type: 'track', event: 'Joined', messageId: `joined-${i}` };
  }
}

/** A text message to everybody in a segment: how many a second reach the provider, and whether each comes once. */
export async function broadcast(options: BenchOptions): Promise<BenchResult> {
  const people = options.events ?? PEOPLE;
  const simulator = await Simulated.start();
  const cluster = await startBenchCluster({ ...options, env: simulator.env });
  const arrival = await Arrival.open(cluster);
  const api = connectApi(cluster.endpoints);
  try {
    await define(api);
    await gather(cluster, arrival, people);
    const processes = processesOf(cluster);
    const [before, firstBefore, fromUs] = [readCpu(processes), readCpu(processes, 'first'), monotonicUs()];
    const begun = Date.now();
    const asked = await ask(api);
    const askedSeconds = (Date.now() - begun) / 1_000;
    console.log(`${whole(asked)} customers asked for in ${short(askedSeconds)} s`);
    await arrival.everywhere(PATIENCE_MS);
    await settled(cluster);
    const cpu = perEvent(cpuBetween(before, readCpu(processes)), people);
    const firstThread = perEvent(cpuBetween(firstBefore, readCpu(processes, 'first')), people);
    const windows = [{ fromUs, toUs: monotonicUs() }];
    const { seconds, calls } = judge(await simulator.book(), { people, asked, begun });
    await arrival.close();
    await cluster.stop();
    if (options.cpuProf !== undefined)
      console.log(profileText(readProfiles(options.cpuProf, windows), 12, firstThread));
    console.log(
      `${whole(people)} text messages at the provider ${short(seconds)} s after the call, each once: ${whole(people / seconds)}/s; ` +
        `CPU µs each: ${Object.entries(cpu)
          .map(([name, us]) => `${name} ${short(us)}`)
          .join(', ')}`,
    );
    return {
      ...{ bench: 'broadcast', value: people / seconds, unit: 'sends/s', ratio: null, cpuUsPerEvent: total(cpu) },
      detail: { people, seconds, asked_s: askedSeconds, per_second: PER_SECOND, calls, cpu_us: cpu },
    };
  } finally {
    closeApi(api);
    await arrival.close();
    await cluster.stop();
    await simulator.stop();
  }
}

/** Segment, template and journey; no quiet hours, as the bench runs at any hour. */
async function define(api: Api): Promise<void> {
  const rule = { event: { name: 'Joined' } };
  const segment = Segment.fromJSON({ id: 'members', displayName: 'Members', rule });
  await api.segmentation.createSegment({ segment, requestId: 'members' });
  const content = { providerTemplate: 'SMS_1', parameters: { name: '{{ customer.first_name }}' } };
  const template = Template.fromJSON({ id: 'opening', name: 'Opening', channel: 'sms', content });
  await api.messaging.createTemplate({ template, requestId: 'opening' });
  const { settings } = await api.messaging.getMessagingSettings({});
  if (settings === undefined) throw new Error('there are no settings');
  const byDay = { ...settings, quietStart: '03:00', quietEnd: '03:00', smsSignature: '小店' };
  await api.messaging.updateMessagingSettings({ settings: byDay, requestId: '' });
  await startJourney(api, JOURNEY);
}

async function gather(cluster: Cluster, arrival: Arrival, people: number): Promise<void> {
  const begun = performance.now();
  const sender = grpcSender(cluster.endpoints.grpc.ingest, cluster.endpoints.apiToken, 2);
  await sendAll([...batchesOf(members(people), { from: 400, to: 500 })], 8, sender.send);
  await sender.close();
  await arrival.everywhere(PATIENCE_MS);
  // Whoever came before the segment's definition is in it when everybody was told of it.
  await arrival.swept('segmentation', PATIENCE_MS);
  console.log(`${whole(people)} customers in the segment after ${short((performance.now() - begun) / 1_000)} s`);
}

/** @returns how many were asked for */
async function ask(api: Api): Promise<number> {
  const request = {
    journeyId: 'opening',
    segmentId: 'members',
    requestId: 'opening',
    timeMs: 0,
    properties: undefined,
  };
  const answers = api.journey.broadcast({ ...request, perSecond: PER_SECOND }, { deadlineMs: PATIENCE_MS });
  let asked = 0;
  for await (const answer of answers) asked = answer.asked;
  return asked;
}

/** Until nothing messaging decided is under way. */
async function settled(cluster: Cluster): Promise<void> {
  const redis = new Redis(cluster.endpoints.redisUrl);
  const partitions = Array.from({ length: cluster.settings.partitions }, (_, p) => p);
  try {
    const none = async () => {
      const pending = await Promise.all(partitions.map((p) => redis.hlen(`${stageTag('messaging', p)}:p`)));
      return pending.every((n) => n === 0);
    };
    await until('every message to be settled', none, PATIENCE_MS, 100);
  } finally {
    redis.disconnect();
  }
}

/** By the provider's own record: everybody has one message, nobody two. */
function judge({ accepted, calls }: Book, of: { people: number; asked: number; begun: number }) {
  const numbers = new Set(accepted.map(({ to }) => to));
  const references = new Set(accepted.map(({ reference }) => reference));
  const found = [of.asked, accepted.length, numbers.size, references.size];
  if (found.some((n) => n !== of.people)) {
    throw new Error(
      `of ${of.people} people ${found[0]} were asked for; the provider took ${found[1]} messages for ${found[2]} numbers ` +
        `under ${found[3]} references: ${JSON.stringify(calls)}`,
    );
  }
  const last = accepted.reduce((latest, { atMs }) => Math.max(latest, atMs), 0);
  return { seconds: (last - of.begun) / 1_000, calls };
}

/** The provider simulator as a process of its own. */
class Simulated {
  readonly env: Readonly<Record<string, string>>;
  readonly #child: Child;
  readonly #url: string;

  private constructor(child: Child, url: string, credentials: string) {
    this.#child = child;
    this.#url = url;
    this.env = {
      ...{ SMS_PROVIDER: 'aliyun', SMS_ENDPOINT: url, SMS_CREDENTIALS_FILE: credentials },
      ...{ SMS_CONNECTIONS: String(CONNECTIONS), SMS_PER_SECOND: String(PER_SECOND) },
    };
  }

  static async start(): Promise<Simulated> {
    const dir = mkdtempSync(join(tmpdir(), 'recur-bench-provider-'));
    deleteWithUs(dir);
    const { accessKeyId: access_key_id, accessKeySecret: access_key_secret } = SIMULATOR_KEYS;
    const credentials = join(dir, 'credentials');
    writeFileSync(credentials, JSON.stringify({ access_key_id, access_key_secret }), { mode: 0o600 });
    const port = await privatePort();
    const url = `http://127.0.0.1:${port}`;
    const child = await Child.start({
      ...{ name: 'provider', command: pinnedNode(), env: plainEnv(), logFile: join(dir, 'log') },
      args: [join(ROOT, 'tools/provider-simulator/main.ts'), String(port)],
      ready: () => saysOk(`${url}/simulator/settings`),
    });
    return new Simulated(child, url, credentials);
  }

  async book(): Promise<Book> {
    return (await (await fetch(`${this.#url}/simulator/record`)).json()) as Book;
  }

  async stop(): Promise<void> {
    await this.#child.stop();
  }
}
