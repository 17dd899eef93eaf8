import { expect, test } from 'vitest';
import { createLogger } from './logger.ts';

test('lines carry service and replica, and nothing that must stay hidden', () => {
  const lines: string[] = [];
  const logger = createLogger({
    service: 's',
    replica: 'r',
    level: 'info',
    destination: { write: (line) => lines.push(line) },
  });
  logger.info({ token: 'hush', call: { authorization: 'hush', method: 'Get' }, config: { redisUrl: 'hush' } }, 'hello');
  logger.debug('not shown');
  expect(lines).toHaveLength(1);
  expect(JSON.parse(lines[0] as string)).toMatchObject({
    level: 'info',
    service: 's',
    replica: 'r',
    msg: 'hello',
    call: { method: 'Get' },
  });
  expect(lines[0]).not.toContain('hush');
});
