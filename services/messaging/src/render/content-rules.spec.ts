import { expect, it } from 'vitest';
import { TemplateContent } from '#gen/recur/messaging/v1/template.ts';
import { contentRules } from './content-rules.ts';

const text = { providerTemplate: 'ngqIpbwh8bUfcSsECmogfXcV14J0tQlEpBO27izEYtY', parameters: { thing1: 'x' } };
const wrong = (channel: string, content: object) =>
  contentRules('content', channel, TemplateContent.fromPartial(content)).map((v) => `${v.field}: ${v.description}`);

it.each([
  ['wechat_template', { ...text, url: 'https://shop.example/a?b=1' }],
  ['wechat_subscribe', text],
  ['wechat_mini', text],
  ['wecom', { text: 'Hello' }],
  ['wecom', { text: 'Hello', subject: 'Coupon', url: 'https://shop.example/' }],
  ['wechat_mini', { ...text, url: 'pages/coupon/index?id=7&from=a%20b' }],
])('%s takes %j', (channel, content) => {
  expect(wrong(channel, content)).toEqual([]);
});

it.each([
  ['wecom', { text: '' }, 'content.text: must not be empty'],
  ['wecom', { text: 'x', subject: 'x' }, 'content.subject: must be empty without url: it is the title of the page'],
  ['wecom', { text: 'x', url: 'https://shop.example/' }, 'content.subject: must not be empty'],
  ['wechat_template', { ...text, url: 'http://shop.example/' }, 'content.url: must be an https:// address'],
  [
    'wechat_subscribe',
    { ...text, url: 'https://10.0.0.1/' },
    'content.url: must not go to 10.0.0.1: not a public address',
  ],
  [
    'wechat_mini',
    { ...text, url: 'https://shop.example/' },
    'content.url: must be empty or a page of the mini-program',
  ],
  ['wechat_mini', { ...text, url: `p?${'a'.repeat(500)}` }, 'content.url: must be empty or a page of the mini-program'],
  ['wechat_mini', { ...text, text: 'x' }, 'content.text: must be empty: wechat_mini has none'],
  ['wechat_mini', { ...text, providerTemplate: '' }, 'content.provider_template: must match ^[A-Za-z0-9_-]{1,64}$'],
  [
    'wechat_template',
    { ...text, parameters: { 'thing1.DATA': '' } },
    'content.parameters: must have names of letters, digits and "_", has "thing1.DATA"',
  ],
])('%s does not take %j', (channel, content, problem) => {
  expect(wrong(channel, content)).toEqual([problem]);
});
