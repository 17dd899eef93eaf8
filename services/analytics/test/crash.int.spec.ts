import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ChdbEngine } from '../src/engine/chdb-engine.ts';

const EVENTS = 3_000;
let dataDir: string;
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'recur-crash-'));
});
afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

function life(failPoint: string | undefined): Promise<{ code: number | null; signal: string | null; output: string }> {
  const { FAIL_POINT: _, ...env } = process.env;
  const child = spawn(process.execPath, [join(import.meta.dirname, 'sink-worker.ts'), dataDir, String(EVENTS)], {
    env: { ...env, ...(failPoint ? { FAIL_POINT: failPoint } : {}) },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  child.stdout.on('data', (d: Buffer) => (output += d.toString()));
  child.stderr.on('data', (d: Buffer) => (output += d.toString()));
  return new Promise((resolve) => child.on('exit', (code, signal) => resolve({ code, signal, output })));
}

describe('sink, killed', () => {
  it('stores everything once, wherever it dies', async () => {
    // Before a block, between two tables, after one, around the offset; each life dies somewhere else.
    const deaths = [
      'analytics.before_publish:1',
      'analytics.after_publish:2',
      'analytics.before_publish:4',
      'analytics.before_commit:1',
      'analytics.after_publish:3',
      'analytics.after_commit:2',
    ];
    for (const death of deaths) {
      const { signal, output } = await life(death);
      expect(signal, `${death}: ${output}`).toBe('SIGKILL');
    }
    const last = await life(undefined);
    expect(last, last.output).toMatchObject({ code: 0 });
    expect(Number(/from (\d+)/.exec(last.output)?.[1])).toBeGreaterThan(1);
    const again = await life(undefined);
    expect(again.output).toContain(`from ${(EVENTS / 10) * 2 + 1}`);

    const engine = await ChdbEngine.open(dataDir);
    try {
      expect(await engine.rows('SELECT count() AS n, uniqExact(message_id) AS u FROM recur.events')).toEqual([
        { n: EVENTS, u: EVENTS },
      ]);
      const withLines = (EVENTS / 10) * 4;
      expect(await engine.rows('SELECT count() AS n, uniqExact(message_id, line) AS u FROM recur.event_lines')).toEqual(
        [{ n: withLines * 2, u: withLines * 2 }],
      );
      expect(await engine.rows('SELECT count() AS n, uniqExact(idempotency_key) AS u FROM recur.deliveries')).toEqual([
        { n: EVENTS / 10, u: EVENTS / 10 },
      ]);
    } finally {
      await engine.close();
    }
  });
});

describe('engine', () => {
  it('one insert is one part, of a block larger than ClickHouse cuts by itself', async () => {
    const engine = await ChdbEngine.open(dataDir);
    try {
      await engine.command('CREATE DATABASE t');
      await engine.command('CREATE TABLE t.wide (n UInt64) ENGINE = MergeTree ORDER BY n');
      await engine.command('SYSTEM STOP MERGES');
      const rows = 3_000_000;
      const values = new BigUint64Array(rows);
      for (let i = 0; i < rows; i++) values[i] = BigInt(i);
      const head = Buffer.from([1, 0xc0, 0x8d, 0xb7, 0x01, 1, 110, 6, ...Buffer.from('UInt64')]);
      await engine.insert('t.wide', ['n'], Buffer.concat([head, Buffer.from(values.buffer)]));
      expect(
        await engine.rows(
          "SELECT count() AS parts, sum(rows) AS rows FROM system.parts WHERE database = 't' AND active",
        ),
      ).toEqual([{ parts: 1, rows }]);
    } finally {
      await engine.close();
    }
  });

  it('a second process cannot open the same folder', async () => {
    const engine = await ChdbEngine.open(dataDir);
    try {
      const other = await life(undefined);
      expect(other.code).not.toBe(0);
      expect(other.output).toContain('cannot open the ClickHouse folder');
    } finally {
      await engine.close();
    }
  });
});
