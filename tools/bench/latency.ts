import { setTimeout as sleep } from 'node:timers/promises';
import { createTransport } from 'nodemailer';
import { closeApi, connectApi } from '#tools/library/api.ts';
import { until } from '#tools/library/progress.ts';
import type { ShopEvent } from '#tools/sample-shop/events.ts';
import { encodeBatch } from './batches.ts';
import { processesOf, startBenchCluster } from './cluster.ts';
import { cpuBetween, perEvent, readCpu, total } from './cpu.ts';
import { createTemplate, SIGNED_UP, startJourney } from './definitions.ts';
import { HOPS, hopsOf, type Way, waysOf } from './hops.ts';
import type { BenchOptions } from './options.ts';
import { monotonicUs, profileText, readProfiles, type Window } from './profile.ts';
import { type BenchResult, quantile, short, whole } from './result.ts';
import { httpSender, type Sender } from './send.ts';

const PER_SECOND = 1_000;
const EVERY_MS = 10;
/** One in a hundred events is a sign-up. */
const SIGN_UP_EVERY = 100;
const WARM_UP_SECONDS = 15;
const SECONDS = 40;
/** Mails we send ourselves meanwhile, straight to the mailbox. */
const DIRECT_EVERY_MS = 100;
const VISITORS = 5_000;
/** Of the slowest mails the whole way is shown. */
const SHOWN = 8;

/** By address: when the event was accepted, or the mail handed over by us, ms since 1970. */
type Moments = Map<string, number>;

export async function latency(options: BenchOptions): Promise<BenchResult> {
  const seconds = options.seconds ?? SECONDS;
  const cluster = await startBenchCluster(options);
  const { endpoints } = cluster;
  const sender = httpSender(endpoints.ingestHttp, endpoints.writeKeys, 32);
  const processes = processesOf(cluster);
  const windows: Window[] = [];
  try {
    const api = connectApi(endpoints);
    await createTemplate(api, 'signed_up', 'Please confirm your address');
    await startJourney(api, SIGNED_UP);
    closeApi(api);
    const load = new Load(sender);
    await load.run(WARM_UP_SECONDS);
    const direct = new DirectMail(endpoints.smtpUrl);
    await direct.warmUp();
    const accepted: Moments = new Map();
    const before = readCpu(processes);
    const firstBefore = readCpu(processes, 'first');
    const fromMs = Date.now();
    const fromUs = monotonicUs();
    direct.start();
    const { events, late } = await load.run(seconds, accepted);
    await direct.stop();
    windows.push({ fromUs, toUs: monotonicUs() });
    const cpu = perEvent(cpuBetween(before, readCpu(processes)), events);
    const firstThread = perEvent(cpuBetween(firstBefore, readCpu(processes, 'first')), events);
    const arrivals = await mailsOf(endpoints.mailboxHttp, [...accepted.keys(), ...direct.sent.keys()]);
    const ours = delays(accepted, arrivals);
    const loop = delays(direct.sent, arrivals);
    const ways = await waysOf(endpoints.natsUrl, fromMs);
    await sender.close();
    await cluster.stop();
    if (options.cpuProf !== undefined)
      console.log(profileText(readProfiles(options.cpuProf, windows), 10, firstThread));
    tellSlowest(accepted, arrivals, ways);
    return report({ ours, loop, events, seconds, late, cpu, answers: load.answers, hops: hopsOf(ways) });
  } finally {
    await sender.close();
    await cluster.stop();
  }
}

/** A steady stream of a shop's events: what is due every 10 ms is one request. */
class Load {
  readonly #sender: Sender;
  #made = 0;
  /** How long ingest took to answer, ms. */
  answers: number[] = [];

  constructor(sender: Sender) {
    this.#sender = sender;
  }

  /** Resolves when all is accepted. `late`: the most by which a request left after it was due, ms. */
  async run(seconds: number, accepted?: Moments): Promise<{ events: number; late: number }> {
    this.answers = [];
    const started = performance.now();
    const open: Promise<void>[] = [];
    const due = Math.round(seconds * PER_SECOND);
    let events = 0;
    let late = 0;
    while (events < due) {
      const next = ((events + 1) * 1000) / PER_SECOND;
      const now = performance.now() - started;
      if (now < next) {
        await sleep(EVERY_MS);
        continue;
      }
      late = Math.max(late, now - next - EVERY_MS);
      const count = Math.min(due, Math.floor((now * PER_SECOND) / 1000)) - events;
      for (let left = count; left > 0; left -= 100) open.push(this.#request(Math.min(left, 100), accepted));
      events += count;
    }
    await Promise.all(open);
    return { events, late };
  }

  async #request(count: number, accepted: Moments | undefined): Promise<void> {
    const events: ShopEvent[] = [];
    const signedUp: string[] = [];
    while (events.length < count) {
      const n = this.#made++;
      const timestamp = new Date().toISOString();
      if (n % SIGN_UP_EVERY !== 0) events.push(look(n, timestamp));
      else {
        const [identify, signUp] = signUpOf(n, timestamp);
        events.push(identify, signUp);
        signedUp.push(addressOf(n));
        this.#made++;
      }
    }
    const sentAt = performance.now();
    await this.#sender.send(encodeBatch('web', events));
    const at = performance.timeOrigin + performance.now();
    this.answers.push(performance.now() - sentAt);
    for (const address of signedUp) accepted?.set(address, at);
  }
}

const addressOf = (n: number): string => `signup.${n}@example.com`;

function look(n: number, timestamp: string): ShopEvent {
  const base = {
    channel: 'web',
    messageId: `look-${n}`,
    timestamp,
    anonymousId: `visitor-${(n * 7919) % VISITORS}`,
  } as const;
  if (n % 3 === 0) return { ...base, type: 'page', name: 'Home', properties: { path: '/' } };
  const properties = { product_id: `p${n % 140}`, name: 'Foam A1', category: 'cleanser', price: 79.9 };
  return { ...base, type: 'track', event: 'Product Viewed', properties };
}

function signUpOf(n: number, timestamp: string): [ShopEvent, ShopEvent] {
  const who = { channel: 'web', timestamp, userId: `member-${n}` } as const;
  return [
    { ...who, type: 'identify', messageId: `identify-${n}`, traits: { email: addressOf(n), firstName: 'Anna' } },
    { ...who, type: 'track', event: 'Signed Up', messageId: `signup-${n}`, properties: { plan: 'member' } },
  ];
}

/** What handing over a mail takes without us in between: one open connection, a mail ready to go. */
class DirectMail {
  readonly sent: Moments = new Map();
  readonly #transport;
  #running: Promise<void> | undefined;
  #stopping = false;

  constructor(smtpUrl: string) {
    this.#transport = createTransport({
      url: smtpUrl,
      pool: true,
      maxConnections: 1,
      maxMessages: Number.POSITIVE_INFINITY,
    });
  }

  async warmUp(): Promise<void> {
    for (let i = 0; i < 20; i++) await this.#send(`warm-up.${i}@example.com`);
  }

  start(): void {
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#running;
    this.#transport.close();
  }

  async #run(): Promise<void> {
    for (let i = 0; !this.#stopping; i++) {
      const to = `direct.${i}@example.com`;
      this.sent.set(to, performance.timeOrigin + performance.now());
      await this.#send(to);
      await sleep(DIRECT_EVERY_MS);
    }
  }

  async #send(to: string): Promise<void> {
    const text = 'Hello Anna,\n\nPlease confirm your address.\n';
    await this.#transport.sendMail({ from: 'shop@example.com', to, subject: 'Please confirm your address', text });
  }
}

interface Mail {
  readonly To: readonly { readonly Address: string }[];
  readonly Created: string;
}

/** When the mailbox had taken each mail, ms since 1970, by address. Waits until there is one for every address. */
async function mailsOf(url: string, addresses: readonly string[]): Promise<Moments> {
  const arrivals: Moments = new Map();
  await until(
    'a mail for every sign-up',
    async () => {
      arrivals.clear();
      for (let start = 0; ; ) {
        const answer = await fetch(`${url}/api/v1/messages?start=${start}&limit=1000`);
        const { messages } = (await answer.json()) as { messages: Mail[] };
        for (const { To, Created } of messages) arrivals.set(To[0]?.Address ?? '', Date.parse(Created));
        if (messages.length === 0) break;
        start += messages.length;
      }
      return addresses.every((address) => arrivals.has(address));
    },
    60_000,
    500,
  );
  return arrivals;
}

/** The mailbox writes whole milliseconds: half a one is added, so that the mean is right. */
function delays(from: Moments, to: Moments): number[] {
  return [...from].map(([address, at]) => (to.get(address) ?? Number.NaN) + 0.5 - at);
}

/** Where the slowest mails waited: their moments in whole milliseconds, since each was accepted. */
function tellSlowest(accepted: Moments, arrivals: Moments, ways: readonly Way[]): void {
  const moments = HOPS.map(([, from]) => from);
  const took = (way: Way) =>
    (arrivals.get(addressOfSignUp(way)) ?? Number.NaN) - (accepted.get(addressOfSignUp(way)) ?? Number.NaN);
  const slowest = ways
    .filter((way) => took(way) > 0)
    .sort((a, b) => took(b) - took(a))
    .slice(0, SHOWN);
  for (const way of slowest) {
    const at = accepted.get(addressOfSignUp(way)) ?? Number.NaN;
    const parts = moments.map((moment) => `${moment} ${whole(way[moment] - at)}`);
    console.log(
      `  ${new Date(at).toISOString().slice(11, 23)} accepted, ${parts.join(', ')}, mailbox ${whole(took(way))} ms`,
    );
  }
}

/** Its sign-up is `signup-<n>`. */
const addressOfSignUp = ({ messageId }: Way): string => addressOf(Number(messageId.split('-')[1]));

interface Found {
  readonly ours: readonly number[];
  readonly loop: readonly number[];
  readonly answers: readonly number[];
  readonly events: number;
  readonly seconds: number;
  readonly late: number;
  readonly cpu: Record<string, number>;
  readonly hops: Record<string, number[]>;
}

function report({ ours, loop, answers, events, seconds, late, cpu, hops }: Found): BenchResult {
  const line = (what: string, values: readonly number[]) =>
    console.log(
      `${what.padEnd(44)} p50 ${short(quantile(values, 0.5)).padStart(7)}   p99 ${short(quantile(values, 0.99)).padStart(7)}` +
        `   most ${short(Math.max(...values)).padStart(7)} ms   (${values.length})`,
    );
  console.log(`${whole(events / seconds)} events/s for ${seconds} s; a request left at most ${short(late)} ms late`);
  line('event accepted → its mail in the mailbox', ours);
  line('a mail handed over directly, meanwhile', loop);
  line('request sent → accepted', answers);
  for (const [hop, values] of Object.entries(hops)) line(`  ${hop}`, values);
  console.log(
    `CPU µs per event: ${Object.entries(cpu)
      .map(([name, us]) => `${name} ${short(us)}`)
      .join(', ')}`,
  );
  const p99 = quantile(ours, 0.99);
  const direct = quantile(loop, 0.99);
  return {
    bench: 'latency',
    value: p99,
    unit: 'ms',
    ratio: p99 / direct,
    cpuUsPerEvent: total(cpu),
    detail: {
      p50_ms: quantile(ours, 0.5),
      p90_ms: quantile(ours, 0.9),
      p99_ms: p99,
      max_ms: Math.max(...ours),
      mails: ours.length,
      direct_p50_ms: quantile(loop, 0.5),
      direct_p99_ms: direct,
      accepted_p50_ms: quantile(answers, 0.5),
      accepted_p99_ms: quantile(answers, 0.99),
      hops_p50_ms: Object.fromEntries(Object.entries(hops).map(([hop, values]) => [hop, quantile(values, 0.5)])),
      hops_p99_ms: Object.fromEntries(Object.entries(hops).map(([hop, values]) => [hop, quantile(values, 0.99)])),
      load_late_ms: late,
      cpu_us: cpu,
    },
  };
}
