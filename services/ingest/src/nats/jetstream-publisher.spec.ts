import { expect, test } from 'vitest';
import { checkAck } from './jetstream-publisher.ts';

test.each([{ seq: 1 }, { seq: 7, duplicate: false }])('believed: %j', (ack) => {
  expect(() => checkAck(ack)).not.toThrow();
});

test.each([{ seq: 0, duplicate: true }, { seq: 0 }, { seq: 7, duplicate: true }, {} as { seq: number }])(
  'not believed: %j',
  (ack) => {
    expect(() => checkAck(ack)).toThrow('no promise');
  },
);
