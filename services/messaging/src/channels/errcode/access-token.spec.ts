import { expect, it } from 'vitest';
import { AccessToken, type Grant } from './access-token.ts';

function tokens(expiresInS = 7200) {
  const asked: (string | undefined)[] = [];
  let now = 0;
  const fetch = async (refused: string | undefined): Promise<Grant> => {
    asked.push(refused);
    await new Promise((resolve) => setImmediate(resolve));
    if (asked.length === 2 && expiresInS === 1) throw new Error('away');
    return { token: `t${asked.length}`, expiresInS };
  };
  const token = new AccessToken({ fetch, now: () => now });
  return { token, asked, pass: (ms: number) => (now += ms) };
}

it('is fetched once for all who ask meanwhile, and kept until shortly before its time is up', async () => {
  const { token, asked, pass } = tokens();
  expect(await Promise.all([token.get(), token.get(), token.get()])).toEqual(['t1', 't1', 't1']);
  pass(7_139_000);
  expect(await token.get()).toBe('t1');
  pass(2_000);
  expect(await Promise.all([token.get(), token.get()])).toEqual(['t2', 't2']);
  expect(asked).toEqual([undefined, undefined]);
});

it('refused by many calls at once is fetched anew once, and one that came since stays', async () => {
  const { token, asked } = tokens();
  const first = await token.get();
  token.refuse(first);
  token.refuse(first);
  expect(await Promise.all([token.get(), token.get()])).toEqual(['t2', 't2']);
  token.refuse(first);
  expect(await token.get()).toBe('t2');
  expect(asked).toEqual([undefined, 't1']);
});

it('that cannot be had fails those who wait for it, and is tried again by the next', async () => {
  const { token, pass } = tokens(1);
  await token.get();
  pass(1_000);
  expect(await Promise.allSettled([token.get(), token.get()])).toMatchObject([
    { status: 'rejected' },
    { status: 'rejected' },
  ]);
  expect(await token.get()).toBe('t3');
});
