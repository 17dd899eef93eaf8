import { describe, expect, it } from 'vitest';
import { messageIdOf, unsubscribeHeaders } from './message.ts';

describe('unsubscribeHeaders', () => {
  it('puts the message in', () => {
    expect(unsubscribeHeaders('https://shop.example/u?m={message_id}', 's@e.co', '1@e.co')).toEqual({
      'List-Unsubscribe': '<https://shop.example/u?m=1%40e.co>',
    });
    expect(unsubscribeHeaders('', 's@e.co', '1@e.co')).toEqual({
      'List-Unsubscribe': '<mailto:s@e.co?subject=unsubscribe%201%40e.co>',
    });
  });
});

it('a sender’s address means nothing else in a mailto', () => {
  const header = unsubscribeHeaders('', "a?b&c%41#'@e.co", '1@e.co')['List-Unsubscribe'];
  expect(header).toBe("<mailto:a%3Fb%26c%2541%23'@e.co?subject=unsubscribe%201%40e.co>");
});

describe('messageIdOf', () => {
  it('depends on the key alone, and gives nothing of it away', () => {
    expect(messageIdOf('enrolment/node', 'shop@e.co')).toBe(messageIdOf('enrolment/node', 'other@e.co'));
    expect(messageIdOf('enrolment/node', 'shop@e.co')).toMatch(/^[0-9a-f]{32}@e\.co$/);
    expect(messageIdOf('enrolment/node2', 'shop@e.co')).not.toBe(messageIdOf('enrolment/node', 'shop@e.co'));
  });
});
