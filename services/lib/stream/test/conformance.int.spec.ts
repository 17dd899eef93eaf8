import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DeadLetter } from '#gen/recur/log/v1/dead_letter.ts';
import { FAIL_POINTS } from '../fail-points.ts';
import { POISON } from './chain.ts';
import { Rig, testLog } from './rig.ts';

const LOG = testLog(300, 7);

/** What the two stages make of LOG when nothing goes wrong. */
async function reference(): Promise<string[]> {
  const rig = await Rig.start();
  try {
    await rig.worker('a');
    await rig.feed(LOG);
    await rig.settled();
    return await rig.everything();
  } finally {
    await rig.stop();
  }
}

describe('stream kit, two stages in a row', () => {
  let expected: string[];
  let rig: Rig;
  beforeAll(async () => {
    expected = await reference();
  });
  const fresh = async () => {
    rig = await Rig.start();
    return rig;
  };
  afterAll(async () => {
    await rig?.stop();
  });
  const check = async () => {
    await rig.settled();
    expect(await rig.everything()).toEqual(expected);
    await rig.stop();
  };

  it('gives the same records again from the same log, in any batching', async () => {
    await fresh();
    await rig.feed(LOG);
    await rig.worker('a');
    expect(expected.length).toBeGreaterThan(1000);
    await check();
  });

  it.each(['profile', 'segmentation'].flatMap((s) => FAIL_POINTS.map((p) => `${s}.${p}`)))(
    'dies at %s, again and again, and publishes nothing twice and loses nothing',
    async (point) => {
      await fresh();
      const half = LOG.length / 2;
      await rig.feed(LOG.slice(0, half));
      for (const at of [1, 2, 4]) {
        const worker = await rig.worker('a', { FAIL_POINT: `${point}:${at}` }).catch(() => undefined);
        if (at === 2) await rig.feed(LOG.slice(half, half + 50));
        if (worker) await Promise.race([worker.exited, new Promise((r) => setTimeout(r, 1_500))]);
        await worker?.kill9();
      }
      await rig.feed(LOG.slice(half + 50));
      await rig.worker('a');
      await check();
    },
  );

  it('survives Redis being wiped and thrown back while it runs', async () => {
    await fresh();
    await rig.worker('a');
    await rig.feed(LOG.slice(0, 100));
    await rig.settled();
    const redis = new Redis(rig.redis.url);
    const dumps = await Promise.all((await redis.keys('*')).map(async (k) => [k, await redis.dumpBuffer(k)] as const));
    await rig.feed(LOG.slice(100, 200));
    await rig.settled();
    const back = redis.multi().flushall();
    for (const [key, dump] of dumps) if (dump) back.restore(key, 0, dump);
    await back.exec();
    await rig.feed(LOG.slice(200, 250));
    await rig.settled();
    await redis.flushall();
    await rig.feed(LOG.slice(250));
    await check();
    redis.disconnect();
  });

  it('waits while NATS and Redis are away and goes on by itself', async () => {
    await fresh();
    await rig.worker('a');
    await rig.feed(LOG.slice(0, 100));
    await rig.nats.kill9();
    await new Promise((r) => setTimeout(r, 1_000));
    await rig.nats.restart();
    await rig.feed(LOG.slice(100, 200));
    await rig.redis.kill9();
    await new Promise((r) => setTimeout(r, 1_000));
    await rig.redis.restart();
    await rig.feed(LOG.slice(200));
    await check();
  });

  it('a paused owner that wakes after its lease was taken changes nothing', async () => {
    await fresh();
    const a = await rig.worker('a');
    const b = await rig.worker('b');
    await rig.feed(LOG.slice(0, 100));
    a.pause();
    await rig.feed(LOG.slice(100, 200));
    await rig.settled();
    a.resume();
    b.pause();
    await rig.feed(LOG.slice(200));
    await rig.settled();
    b.resume();
    await check();
  });

  it('a record that cannot be processed goes to the dead letters once, and the rest goes on', async () => {
    await fresh();
    await rig.worker('a');
    const record = [['c0-0', POISON]] as const;
    await rig.feed([...LOG.slice(0, 100), { partition: 0, at: LOG[99]?.at ?? 0, records: record }, ...LOG.slice(100)]);
    await rig.settled();
    expect(await rig.everything()).toEqual(expected);
    for (const stage of ['profile', 'segmentation']) {
      const letters = (await rig.messages(`dead.${stage}.0`, 'DEAD_LETTERS')).map((m) => DeadLetter.decode(m));
      expect(letters.map((l) => [l.reason, l.record?.customerId, String(l.record?.body)])).toEqual([
        ['poison', 'c0-0', POISON],
      ]);
    }
    await rig.stop();
  });

  it('a stage far behind the log keeps its memory bounded', async () => {
    await fresh();
    const big = 'x'.repeat(20_000);
    const records = Array.from({ length: 20 }, (_, i) => [`c0-${i}`, big] as const);
    await rig.feed(Array.from({ length: 300 }, (_, i) => ({ partition: 0, at: 2_000 + i, records })));
    await rig.feed([{ partition: 1, at: 2_000, records: [] }]);
    const worker = await rig.worker('a');
    let most = 0;
    const done = rig.settled().then(() => true);
    while (!(await Promise.race([done, new Promise((r) => setTimeout(r, 50))])))
      most = Math.max(most, (await worker.info()).rss);
    // 120 MB of log waiting, read twice by two stages.
    expect(most).toBeLessThan(400 * 1024 * 1024);
    await rig.stop();
  });

  it('says so when the log was cut before it was read, and goes on with what there is', async () => {
    await fresh();
    await rig.feed(LOG);
    await rig.cutLog(50);
    const worker = await rig.worker('a');
    await rig.settled();
    expect(worker.logTail(200)).toContain('all before 51 is gone');
    await rig.stop();
  });

  it('on the live clock a timer fires within a second of its moment, though nothing else happens', async () => {
    await fresh();
    await rig.worker('a', { CLOCK: 'live' });
    const record = (word: string) => ({ partition: 1, at: 0, records: [['c1-0', word]] as const });
    await rig.feed([record('one'), record('two')]);
    await rig.settled(undefined, [1]);
    await rig.feed([record('three')]);
    const began = Date.now();
    const fired = async () => (await rig.outputs('profile', 1)).some((line) => line.includes('timer'));
    while (!(await fired()) && Date.now() - began < 5_000) await new Promise((r) => setTimeout(r, 20));
    expect(Date.now() - began).toBeLessThan(1_000);
    await rig.stop();
  });

  it('replicas come and go while records flow; SIGTERM hands over at once', async () => {
    await fresh();
    const a = await rig.worker('a');
    const feeding = rig.feed(LOG);
    const b = await rig.worker('b');
    await new Promise((r) => setTimeout(r, 1_500));
    await a.stop();
    const c = await rig.worker('c');
    await new Promise((r) => setTimeout(r, 1_500));
    await b.stop();
    await feeding;
    expect(c.running).toBe(true);
    await check();
  });
});
