import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { jetstream } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { DeadLetter } from '#gen/recur/log/v1/dead_letter.ts';
import { Event, EventType } from '#gen/recur/log/v1/event.ts';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import { partitionOf, subjects } from '#lib/topology/topology.ts';
import { confined } from '#tools/deploy/on-this-machine.ts';
import { USER } from '#tools/deploy/sizing.ts';
import { run } from '#tools/servers/binaries.ts';
import { pinnedNode, ROOT } from '#tools/servers/node.ts';
import { type SpawnedService, spawnService } from '#tools/testkit/service.ts';
import { withServers } from '#tools/testkit/with-servers.ts';

// From the files of its image alone: another folder, as the image's user, unable to write but where backups go.

const servers = withServers({ nats: true, redis: true });
const fresh = withServers({ nats: true, redis: true });
const CUSTOMER = '01TESTCUSTOMER';
const PARTITION = partitionOf(CUSTOMER, 2);
let profile: SpawnedService;
let tree: string;
let backups: string;

const envOf = ({ nats, redis }: typeof servers) => ({ NATS_URL: nats.url, REDIS_URL: redis.url });

async function operations(args: string[], env: Record<string, string> = envOf(servers)) {
  const { command, args: all, cwd } = confined(tree, [backups], ['main.js', ...args]);
  const surroundings = { PATH: '/usr/bin:/bin', HOME: '/nonexistent', TMPDIR: '/nonexistent', ...env };
  const child = spawn(command, all, { cwd, env: surroundings, stdio: ['ignore', 'pipe', 'pipe'] });
  const [said, complained, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  return { code: code as number, said, complained };
}

beforeAll(async () => {
  const home = servers.dir;
  chmodSync(home, 0o755);
  [tree, backups] = [join(home, 'app'), join(home, 'backups')];
  await run(pinnedNode(), [join(ROOT, 'tools/build/image.ts'), 'operations', tree, '--link'], { cwd: ROOT });
  for (const name of ['', '2026-01-01T000000Z', '2026-01-02T000000Z']) {
    mkdirSync(join(backups, name));
    if (name !== '') writeFileSync(join(backups, name, 'backup.json'), '{}');
    if (process.getuid?.() === 0) chownSync(join(backups, name), USER, USER);
  }
  // It makes the streams.
  const nobody = '127.0.0.1:1';
  const calls = ['IDENTITY', 'ANALYTICS', 'SEGMENTATION', 'JOURNEY', 'MESSAGING'].map((name) => [
    `${name}_ADDR`,
    nobody,
  ]);
  profile = await spawnService('profile', { ...envOf(servers), PARTITIONS: '2', ...Object.fromEntries(calls) });
  const nats = await connect({ servers: servers.nats.url });
  const event = {
    messageId: 'm-1',
    type: EventType.EVENT_TYPE_TRACK,
    name: 'Product Viewed',
    timeMs: Date.now(),
    source: 'web',
  };
  const body = Buffer.from(Event.encode(Event.fromPartial(event)).finish());
  const record = { kind: RecordKind.RECORD_KIND_EVENT, customerId: CUSTOMER, timeMs: event.timeMs, body };
  const letter = DeadLetter.fromPartial({ stage: 'profile', partition: PARTITION, reason: 'by a test', record });
  await jetstream(nats).publish(subjects.deadLetter('profile', PARTITION), DeadLetter.encode(letter).finish());
  await nats.close();
}, 120_000);
afterAll(() => profile?.stop());

test('it says what it can do, and refuses what it cannot', async () => {
  const help = await operations(['--help']);
  expect(help).toMatchObject({ code: 0, complained: '' });
  for (const command of ['backup', 'dead-letters']) {
    expect(help.said).toContain(`\n  ${command} `);
    const more = await operations([command, '--help'], {});
    expect(more, command).toMatchObject({ code: 0, complained: '' });
    expect(more.said).not.toContain('npm run');
  }
  expect(await operations(['delete'])).toMatchObject({ code: 2, said: 'There is no command delete. Try --help.\n' });
  expect(await operations(['backup', '/x'], {})).toMatchObject({
    code: 2,
    complained: /^Which cluster\? Set NATS_URL/,
  });
}, 60_000);

test('a backup every night, the newest two kept; checked; restored into a cluster that is empty', async () => {
  const made = await operations(['backup', '--in', backups, '--keep', '2']);
  expect(made, made.complained).toMatchObject({ code: 0 });
  expect(made.said).toContain('2026-01-01T000000Z: deleted');
  expect(readdirSync(backups).sort()).toEqual(['2026-01-02T000000Z', expect.stringMatching(/^20\d\d-.*Z$/)]);
  const checked = await operations(['check', '--in', backups]);
  expect(checked).toMatchObject({ code: 0, said: expect.stringContaining('every checksum right') });

  const restored = await operations(['restore', '--in', backups], envOf(fresh));
  expect(restored, restored.complained).toMatchObject({ code: 0 });
  const list = await operations(['dead-letters', 'list'], envOf(fresh));
  expect(list).toMatchObject({
    code: 0,
    said: expect.stringContaining(`profile.${PARTITION} event at 0/0  by a test`),
  });
  const again = await operations(['restore', '--in', backups], envOf(fresh));
  expect(again).toMatchObject({ code: 1, complained: expect.stringContaining('NATS is not empty') });
}, 60_000);

test('a dead letter is replayed, states are compared with the log, a number of partitions looked at', async () => {
  const replayed = await operations(['dead-letters', 'replay', '--all']);
  expect(replayed, replayed.complained).toMatchObject({ code: 0, said: expect.stringMatching(/^\d+ replayed/) });
  const rebuilt = await operations(['rebuild', 'profile', '--partition', String(PARTITION)]);
  expect(rebuilt, rebuilt.complained).toMatchObject({ code: 0, said: expect.stringMatching(/ 1 states.*equal/) });
  const outlook = await operations(['repartition', '--to', '3', '--dry-run']);
  expect(outlook, outlook.complained).toMatchObject({
    code: 0,
    said: expect.stringContaining('From 2 to 3 partitions'),
  });
}, 60_000);

test('the library lies beside it', () => {
  expect(existsSync(join(tree, 'services/journey/library/orders'))).toBe(true);
});
