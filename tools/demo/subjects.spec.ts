import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { subjectReader } from './subjects.ts';

describe('templates of the library', () => {
  const templateOf = subjectReader();

  test.each([
    ['Welcome to Sample Shop, Anna!', 'welcome_a'],
    ['欢迎加入 Sample Shop！', 'welcome_a'],
    ['A gift for your first order at Sample Shop', 'welcome_b'],
    ['您的首单礼遇 | Sample Shop', 'welcome_b'],
    ['Still looking, there?', 'welcome_reminder'],
    ['收货两周，用得还好吗？', 'day14_care'],
    ['We have missed you, Tom', 'winback_first'],
    ['10 % off, if you would like to come back', 'winback_second'],
    ['Your invoice', ''],
    ['Re: Still looking, Tom?', ''],
  ])('%s', (subject, template) => {
    expect(templateOf(subject)).toBe(template);
  });
});

describe('any template', () => {
  const folder = mkdtempSync(join(tmpdir(), 'recur-subjects-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const put = (name: string, subject: string, variants = {}) =>
    writeFileSync(join(folder, name), JSON.stringify({ id: name.split('.')[0], content: { subject }, variants }));
  put('dots.yaml', '1.5 (new) [$]');
  put('tags.yaml', 'Hello {% if a %}dear {{ b }}{% endif %}!', { zh: { subject: '你好{{ b }}' } });
  const templateOf = subjectReader(folder);

  test('what stands outside of tags is taken literally', () => {
    expect(templateOf('1.5 (new) [$]')).toBe('dots');
    expect(templateOf('1x5 (new) [$]')).toBe('');
  });

  test('tags stand for any text, in every variant', () => {
    expect(templateOf('Hello dear Ann!')).toBe('tags');
    expect(templateOf('你好Ann')).toBe('tags');
  });
});
