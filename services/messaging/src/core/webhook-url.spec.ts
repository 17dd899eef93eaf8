import { describe, expect, it } from 'vitest';
import { isPublicAddress, webhookUrlProblem } from './webhook-url.ts';

describe('webhookUrlProblem', () => {
  it.each([
    'https://hooks.example.com/a?b=c',
    'https://shop.cn:8443/x',
    'https://93.184.215.14/',
    'https://[2606:2800:21f::1]/',
  ])('%s may be called', (url) => expect(webhookUrlProblem(url)).toBeUndefined());

  it.each([
    ...[
      '',
      'http://hooks.example.com/',
      'file:///etc/passwd',
      'gopher://x.example/',
      'javascript:alert(1)',
      'https://',
    ],
    ...['https://user:pw@hooks.example.com/', 'https://hooks.example.com/#x', 'https://hooks.example.com/\r\nX: y'],
    ...['https://localhost/', 'https://LOCALHOST./', 'https://a.localhost/', 'https://redis/', 'https://db.internal/'],
    ...[
      'https://nats.recur.svc/',
      'https://x.svc.cluster.local/',
      'https://127.0.0.1/',
      'https://127.1/',
      'https://0x7f.1/',
    ],
    ...['https://2130706433/', 'https://017700000001/', 'https://0/', 'https://169.254.169.254/latest/meta-data/'],
    ...[
      'https://10.0.0.1/',
      'https://172.16.0.1/',
      'https://192.168.1.1/',
      'https://100.64.0.1/',
      'https://224.0.0.1/',
    ],
    ...[
      'https://[::1]/',
      'https://[::]/',
      'https://[::ffff:127.0.0.1]/',
      'https://[::ffff:7f00:1]/',
      'https://[fe80::1]/',
    ],
    ...[
      'https://[fd00::1]/',
      'https://[64:ff9b::7f00:1]/',
      'https://[2002:7f00:1::]/',
      `https://a.example/${'x'.repeat(500)}`,
    ],
  ])('%j is refused, and why is said', (url) => expect(webhookUrlProblem(url)).toMatch(/^must /));
});

it('an address is public or it is not', () => {
  expect(['8.8.8.8', '2606:4700::1'].map(isPublicAddress)).toEqual([true, true]);
  const inside = [
    '0.0.0.0',
    '255.255.255.255',
    '198.18.0.1',
    '192.0.2.1',
    '::',
    'fec0::1',
    '2001:db8::1',
    'nonsense',
    '',
  ];
  expect(inside.filter(isPublicAddress)).toEqual([]);
});
