// Bare decisions: four plain Redis round trips each, one after the other, as a queue's workers do that keep what they know of a
// customer in Redis: the consent is read, the count for the cap is read, the count is raised, the message is marked. So
// many workers at a time (WORKERS), on one connection. The last line is the result as JSON.
import { Redis } from 'ioredis';
import { given } from './child.ts';

const [people, workers, day] = [Number(given('PEOPLE')), Number(given('WORKERS')), given('ROUND')];
const WARM_UP = 0.2;
const CAP = 100;
const redis = new Redis(given('REDIS_URL'));
let sent = 0;

async function decide(i: number): Promise<void> {
  const id = `01KJPTTQ40${String(i).padStart(16, '0')}`;
  const consent = await redis.get(`bare:consent:${id}`);
  const count = await redis.get(`bare:cap:${id}`);
  if (consent === '0' || Number(count) >= CAP) return;
  await redis.incr(`bare:cap:${id}`);
  await redis.set(`bare:sent:${id}:${day}`, '1');
  sent++;
}

async function run(count: number): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < count) await decide(next++);
  };
  await Promise.all(Array.from({ length: workers }, worker));
}

/** Of all its threads, µs. */
async function redisCpuUs(): Promise<number> {
  const used = [...(await redis.info('cpu')).matchAll(/^used_cpu_(?:sys|user):([\d.]+)/gm)];
  return used.reduce((sum, [, seconds]) => sum + Number(seconds) * 1e6, 0);
}

await run(Math.round(people * WARM_UP));
sent = 0;
const redisFrom = await redisCpuUs();
const from = process.cpuUsage();
const begun = performance.now();
await run(people);
const seconds = (performance.now() - begun) / 1_000;
const { user, system } = process.cpuUsage(from);
const redisUs = (await redisCpuUs()) - redisFrom;
if (sent !== people) throw new Error(`${sent} of ${people}`);
redis.disconnect();
console.log(JSON.stringify({ decisions: people, seconds, cpuUs: user + system, redisUs }));
