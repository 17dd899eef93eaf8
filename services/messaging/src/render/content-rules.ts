import type { TemplateContent } from '#gen/recur/messaging/v1/template.ts';
import { headerProblem } from '../core/header.ts';
import type { Violation } from '../core/settings.ts';
import { webhookUrlProblem } from '../core/webhook-url.ts';

const PROVIDER_TEMPLATE = /^[A-Za-z0-9_-]{1,64}$/;
const PARAMETER = /^[A-Za-z0-9_]{1,32}$/;
const MAX_PARAMETERS = 20;
/** Such as pages/coupon?id=7, or nothing. */
const PAGE = /^([\w-]+(\/[\w-]+)*(\?[\w.~%&=-]*)?)?$/;

const PUSH: ReadonlySet<string> = new Set(['fcm', 'apns', 'web_push']);
/** Names the push services, or Recur, use themselves. */
const RESERVED = /^(aps|url|recur_.*|from|notification|message_type|google.*|gcm.*)$/i;

type Field = Exclude<keyof TemplateContent, 'parameters'>;

/** Fields of a content by channel; those not named must be empty. */
const USES: Readonly<Record<string, readonly (Field | 'parameters')[]>> = {
  email: ['subject', 'text', 'html', 'mjml'],
  sms: ['providerTemplate', 'parameters'],
  webhook: ['subject', 'text', 'url'],
  wechat_template: ['providerTemplate', 'parameters', 'url'],
  wechat_subscribe: ['providerTemplate', 'parameters', 'url'],
  wechat_mini: ['providerTemplate', 'parameters', 'url'],
  wecom: ['subject', 'text', 'url'],
  fcm: ['subject', 'text', 'parameters', 'url'],
  apns: ['subject', 'text', 'parameters', 'url'],
  web_push: ['subject', 'text', 'parameters', 'url'],
};

/** What a channel needs of a content, and what it has no place for. */
export function contentRules(at: string, channel: string, content: TemplateContent): Violation[] {
  const found: Violation[] = [];
  const check = (field: string, ok: boolean, description: string) => {
    if (!ok) found.push({ field: field === '' ? at : `${at}.${field}`, description });
  };
  const uses = USES[channel] ?? [];
  for (const field of ['subject', 'text', 'html', 'mjml', 'providerTemplate', 'url'] as const) {
    check(snake(field), uses.includes(field) || content[field] === '', `must be empty: ${channel} has none`);
  }
  const names = Object.keys(content.parameters);
  if (!uses.includes('parameters')) check('parameters', names.length === 0, `must be empty: ${channel} has none`);
  if (channel === 'wecom' && content.url === '')
    check('subject', content.subject === '', 'must be empty without url: it is the title of the page');
  else if (uses.includes('subject')) {
    const line = content.subject === '' ? 'must not be empty' : headerProblem(content.subject, 500);
    check('subject', line === undefined, line ?? '');
  }
  const says = content.text !== '' || content.html !== '' || content.mjml !== '';
  if (channel === 'email') check('', says, 'needs text, html or mjml');
  if (channel === 'wecom') check('text', content.text !== '', 'must not be empty');
  if (channel === 'webhook' || PUSH.has(channel)) {
    check('text', content.text !== '', 'must not be empty');
    const problem = PUSH.has(channel) && content.url === '' ? undefined : webhookUrlProblem(content.url);
    check('url', problem === undefined, problem ?? '');
  }
  if (channel === 'wechat_mini') check('url', isPage(content.url), 'must be empty or a page of the mini-program');
  else if (uses.includes('url') && channel !== 'webhook' && !PUSH.has(channel) && content.url !== '') {
    const problem = webhookUrlProblem(content.url);
    check('url', problem === undefined, problem ?? '');
  }
  if (PUSH.has(channel))
    for (const name of names)
      check('parameters', !RESERVED.test(name), `must not have ${name}: it has a meaning of its own`);
  if (uses.includes('providerTemplate'))
    check(
      'provider_template',
      PROVIDER_TEMPLATE.test(content.providerTemplate),
      `must match ${PROVIDER_TEMPLATE.source}`,
    );
  check('parameters', names.length <= MAX_PARAMETERS, `must be at most ${MAX_PARAMETERS}, are ${names.length}`);
  for (const name of names.slice(0, MAX_PARAMETERS))
    check(
      'parameters',
      PARAMETER.test(name),
      `must have names of letters, digits and "_", has ${JSON.stringify(name.slice(0, 40))}`,
    );
  return found;
}

function isPage(text: string): boolean {
  return text.length <= 500 && PAGE.test(text);
}

function snake(field: string): string {
  return field.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
