import { status } from '@grpc/grpc-js';
import { MessagingSettings, Template } from '#gen/recur/messaging/v1/template.ts';
import type { Api } from '#tools/library/api.ts';
import { type BadCall, json, KB } from './bad-call.ts';

const { INVALID_ARGUMENT, NOT_FOUND, ALREADY_EXISTS, ABORTED } = status;

const template =
  (fields: Partial<Template>, subject = 'Hello', text = 'Hello', html = '') =>
  (api: Api) =>
    api.messaging.createTemplate({
      template: Template.fromPartial({
        id: 'bad',
        name: 'Bad',
        channel: 'email',
        content: { subject, text, html },
        ...fields,
      } as never),
      requestId: '',
    });
const settings = (fields: Partial<MessagingSettings>) => (api: Api) =>
  api.messaging.updateMessagingSettings({ settings: MessagingSettings.fromPartial(fields as never), requestId: '' });
const mailTo =
  (to: string, templateId = 'welcome_a', customer = '{}') =>
  (api: Api) =>
    api.messaging.sendTestMessage({
      templateId,
      to,
      locale: '',
      customerJson: json(customer),
      journeyJson: json('{}'),
    });

export const MESSAGING: readonly BadCall[] = [
  [
    'a template that loops for ever',
    template({}, 'x', '{% for i in (1..1000000000) %}x{% endfor %}'),
    INVALID_ARGUMENT,
    /template\.content\.text.*(limit|ms)/,
  ],
  [
    'a template that loops in loops',
    template(
      {},
      'x',
      '',
      '{% for i in (1..9000) %}{% for j in (1..9000) %}{% for k in (1..9000) %}{% endfor %}{% endfor %}{% endfor %}',
    ),
    INVALID_ARGUMENT,
    /template\.content\.html.*(limit|ms)/,
  ],
  [
    'a template that grows without end',
    template({}, 'x', '{% for i in (1..90000) %}0123456789{% endfor %}'),
    INVALID_ARGUMENT,
    /template\.content\.text/,
  ],
  [
    'a template that ends too early',
    template({}, 'x', '{% if customer %}'),
    INVALID_ARGUMENT,
    /template\.content\.text.*line 1/,
  ],
  [
    'a template with an unknown filter',
    template({}, 'x', '{{ customer.a | evil }}'),
    INVALID_ARGUMENT,
    /template\.content\.text.*evil/,
  ],
  [
    'a template that reads files',
    template({}, 'x', "{% include '/etc/passwd' %}"),
    INVALID_ARGUMENT,
    /template\.content\.text/,
  ],
  ['a template of 65 KB', template({}, 'x', 'x'.repeat(65 * KB)), INVALID_ARGUMENT, /template\.content.*65536/],
  ['a subject of two lines', template({}, 'a\r\nBcc: all@example.com'), INVALID_ARGUMENT, /template\.content\.subject/],
  ['no subject', template({}, ''), INVALID_ARGUMENT, /template\.content\.subject.*empty/],
  ['no content', template({ content: undefined as never }), INVALID_ARGUMENT, /template\.content/],
  ['a template for pigeons', template({ channel: 'pigeon' }), INVALID_ARGUMENT, /template\.channel.*pigeon/],
  ['a template with a bad id', template({ id: 'Bad Id' }), INVALID_ARGUMENT, /template\.id/],
  ['an id that is taken', template({ id: 'welcome_a' }), ALREADY_EXISTS, /welcome_a/],
  ['an unknown template', (api) => api.messaging.getTemplate({ id: 'missing' }), NOT_FOUND, /missing/],
  [
    'a change of an old revision',
    (api) =>
      api.messaging.updateTemplate({
        template: Template.fromPartial({
          id: 'welcome_a',
          name: 'x',
          channel: 'email',
          content: { subject: 'x', text: 'x' },
          revision: 999,
        } as never),
        requestId: '',
      }),
    ABORTED,
    /welcome_a|revision/,
  ],
  [
    'the end of nothing',
    (api) => api.messaging.deleteTemplate({ id: 'missing', revision: 0, requestId: '' }),
    NOT_FOUND,
    /missing/,
  ],
  [
    'a preview of nothing',
    (api) =>
      api.messaging.previewTemplate({
        source: undefined,
        locale: '',
        customerJson: json('{}'),
        journeyJson: json('{}'),
        customerId: '',
      }),
    INVALID_ARGUMENT,
    /template/,
  ],
  [
    'a preview with malformed values',
    (api) =>
      api.messaging.previewTemplate({
        source: { $case: 'templateId', value: 'welcome_a' },
        locale: '',
        customerJson: json('{'),
        journeyJson: json('{}'),
        customerId: '',
      }),
    INVALID_ARGUMENT,
    /customer_json/,
  ],
  [
    'what nobody lacks',
    (api) =>
      api.messaging.reportMissingVariables({
        source: { $case: 'templateId', value: 'welcome_a' },
        customerIds: [],
        journeyJson: json('{}'),
        locale: '',
      }),
    INVALID_ARGUMENT,
    /customer_ids.*1–200/,
  ],
  ['a test to no address', mailTo('wei'), INVALID_ARGUMENT, /\bto\b/],
  ['a test with a second line', mailTo('a@example.com\r\nBcc: b@example.com'), INVALID_ARGUMENT, /\bto\b/],
  ['a test of nothing', mailTo('a@example.com', 'missing'), NOT_FOUND, /missing/],
  ['a test with values that are a list', mailTo('a@example.com', 'welcome_a', '[]'), INVALID_ARGUMENT, /customer_json/],
  ['quiet from 25 o’clock', settings({ quietStart: '25:00' }), INVALID_ARGUMENT, /settings\.quiet_start.*25:00/],
  ['101 messages a week', settings({ capMessages: 101 }), INVALID_ARGUMENT, /settings\.cap_messages.*101/],
  ['a cap over 32 days', settings({ capDays: 32 }), INVALID_ARGUMENT, /settings\.cap_days.*32/],
  ['a sender that is none', settings({ senderAddress: 'shop' }), INVALID_ARGUMENT, /settings\.sender_address/],
  [
    'a sender of two lines',
    settings({ senderName: 'Shop\r\nBcc: x@example.com' }),
    INVALID_ARGUMENT,
    /settings\.sender_name/,
  ],
  [
    'a link that runs',
    settings({ unsubscribeUrl: 'javascript:alert(1)' }),
    INVALID_ARGUMENT,
    /settings\.unsubscribe_url/,
  ],
];
