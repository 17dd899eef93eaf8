import { describe, expect, it } from 'vitest';
import { Simulator } from '#tools/provider-simulator/simulator.ts';
import { parsePrivateKey, parseServiceAccount, parseVapidKeys } from './push-credentials.ts';

describe('credentials of push services', () => {
  it('are read as they are given out', async () => {
    const simulator = await new Simulator().listen();
    const { serviceAccount, apnsKey, vapidKeys } = simulator.accounts;
    await simulator.close();
    expect(parseServiceAccount(serviceAccount)).toMatchObject({ projectId: 'simulated-project', keyId: 'k1' });
    expect(parsePrivateKey(apnsKey)).toBe(apnsKey);
    expect(parseVapidKeys(vapidKeys).subject).toBe('mailto:shop@shop.example');
  });

  it.each([
    [parseServiceAccount, '{'],
    [parseServiceAccount, 'null'],
    [parseServiceAccount, '{"project_id": "secret-1", "client_email": "a@b.c"}'],
    [parsePrivateKey, 'secret-1'],
    [parseVapidKeys, '[]'],
    [parseVapidKeys, '{"subject": "secret-1", "public_key": "x", "private_key": "secret-1"}'],
  ])('what is none is refused without a word of it (%#)', (parse, content) => {
    expect(() => parse(content)).toThrow(/^the file must hold/);
    expect(() => parse(content)).not.toThrow(/secret-1/);
  });
});
