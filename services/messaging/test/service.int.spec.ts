import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DeliveryStatus } from '#gen/recur/log/v1/changes.ts';
import { EventType } from '#gen/recur/log/v1/event.ts';
import { MessageStatus } from '#gen/recur/messaging/v1/state.ts';
import { Template, TemplateContent } from '#gen/recur/messaging/v1/template.ts';
import { eventually, Rig } from './rig.ts';

const { DELIVERY_STATUS_INTENT: INTENT, DELIVERY_STATUS_SENT: SENT } = DeliveryStatus;

const welcome = Template.fromPartial({
  ...{ id: 'welcome', name: 'Welcome', channel: 'email' },
  content: { subject: 'Hello {{ customer.first_name }}', text: 'Your code is {{ journey.code }}' },
});

describe('messaging as a process', () => {
  let rig: Rig;
  beforeAll(async () => {
    rig = await Rig.start();
  });
  afterAll(() => rig?.stop());

  it('keeps templates: created, read, listed, changed, deleted, with revisions', async () => {
    const { client } = rig;
    const { template } = await client.createTemplate({ template: welcome, requestId: 'r1' });
    expect(template?.revision).toBeGreaterThan(0);
    expect((await client.createTemplate({ template: welcome, requestId: 'r1' })).template).toEqual(template);
    await expect(client.createTemplate({ template: welcome, requestId: 'r2' })).rejects.toMatchObject({
      code: status.ALREADY_EXISTS,
    });
    const bad = {
      ...welcome,
      id: 'bad',
      content: TemplateContent.fromPartial({ ...welcome.content, html: '{{ "x" | nothing }}' }),
    };
    await expect(client.createTemplate({ template: bad, requestId: '' })).rejects.toMatchObject({
      code: status.INVALID_ARGUMENT,
      violations: [
        {
          field: 'template.content.html',
          description: expect.stringMatching(/^line 1, column \d+: undefined filter: nothing/),
        },
      ],
    });
    await expect(
      client.updateTemplate({ template: { ...welcome, revision: 999 }, requestId: '' }),
    ).rejects.toMatchObject({ code: status.ABORTED });
    await client.createTemplate({ template: { ...welcome, id: 'other' }, requestId: '' });
    expect((await client.listTemplates({ pageSize: 0, pageToken: '' })).templates.map(({ id }) => id)).toEqual([
      'other',
      'welcome',
    ]);
    await client.deleteTemplate({ id: 'other', revision: 0, requestId: '' });
    await expect(client.getTemplate({ id: 'other' })).rejects.toMatchObject({ code: status.NOT_FOUND });
  });

  it('previews and sends tests', async () => {
    const { client } = rig;
    const values = {
      locale: '',
      customerJson: Buffer.from('{"first_name":"Bo"}'),
      journeyJson: Buffer.from('{"code":7}'),
      customerId: '',
    };
    const preview = await client.previewTemplate({ source: { $case: 'templateId', value: 'welcome' }, ...values });
    expect(preview).toMatchObject({ subject: 'Hello Bo', text: 'Your code is 7', locale: '' });
    const { messageId } = await client.sendTestMessage({ templateId: 'welcome', to: 'me@example.org', ...values });
    expect((await rig.mails()).map((mail) => mail.MessageID)).toEqual([messageId]);
    await expect(
      client.sendTestMessage({ templateId: 'welcome', to: 'me@example.org\r\nBcc: x@y.zz', ...values }),
    ).rejects.toMatchObject({
      violations: [{ field: 'to' }],
    });
  });

  it('keeps a page in MJML as the HTML it becomes', async () => {
    const { client } = rig;
    const mjml = (text: string) =>
      `<mjml><mj-body><mj-section><mj-column><mj-text>${text}</mj-text></mj-column></mj-section></mj-body></mjml>`;
    const page = (text: string) =>
      Template.fromPartial({
        ...{ id: 'page', name: 'Page', channel: 'email' },
        content: { subject: 'Hi', mjml: mjml(text) },
      });
    // MJML itself is loaded with the first page: on a busy machine not within the usual five seconds.
    const first = { template: page('Hi {{ customer.first_name }}'), requestId: '' };
    const { template } = await client.createTemplate(first, { deadlineMs: 30_000 });
    expect(template?.content?.html).toContain('>Hi {{ customer.first_name }}</div>');
    if (template) await client.updateTemplate({ template: { ...template, ...page('Bye') }, requestId: '' });
    expect((await client.getTemplate({ id: 'page' })).template?.content?.html).toContain('>Bye</div>');
    await expect(
      client.updateTemplate({ template: page('x</mj-text><mj-foo/><mj-text>y'), requestId: '' }),
    ).rejects.toMatchObject({
      code: status.INVALID_ARGUMENT,
    });
    const source = { $case: 'template' as const, value: page('Hi {{ customer.first_name }}') };
    const values = {
      locale: '',
      customerJson: Buffer.from('{"first_name":"Bo"}'),
      journeyJson: Buffer.alloc(0),
      customerId: '',
    };
    expect((await client.previewTemplate({ source, ...values })).html).toContain('>Hi Bo</div>');
    await client.deleteTemplate({ id: 'page', revision: 0, requestId: '' });
  });

  it('keeps settings, with defaults', async () => {
    const { client } = rig;
    const { settings } = await client.getMessagingSettings({});
    expect(settings).toMatchObject({ quietStart: '21:00', quietEnd: '09:00', capMessages: 2, capDays: 7, revision: 0 });
    if (!settings) throw new Error('no settings');
    const changed = await client.updateMessagingSettings({
      settings: { ...settings, quietStart: '00:00', quietEnd: '00:00', capMessages: 1 },
      requestId: '',
    });
    expect(changed.settings?.revision).toBeGreaterThan(0);
    await expect(
      client.updateMessagingSettings({
        settings: { ...settings, quietStart: '25:00', senderName: 'a\nb' },
        requestId: '',
      }),
    ).rejects.toMatchObject({
      violations: [{ field: 'settings.quiet_start' }, { field: 'settings.sender_name' }],
    });
  });

  it('sends what journey asks for, and tells what it decided', async () => {
    await rig.events([
      rig.identify('ana'),
      rig.ask('ana', { idempotencyKey: 'a1', purpose: 'marketing', variablesJson: Buffer.from('{"code":"X9"}') }),
      rig.ask('ana', { idempotencyKey: 'a1', purpose: 'marketing' }),
      rig.ask('ana', { idempotencyKey: 'a2', purpose: 'marketing' }),
      ['ana', { type: EventType.EVENT_TYPE_TRACK, name: 'Unsubscribed' }],
      rig.ask('ana', { idempotencyKey: 'a3', purpose: 'marketing' }),
      rig.ask('nobody', { idempotencyKey: 'n1' }),
    ]);
    const { messages } = await eventually(
      () => rig.client.listMessages({ customerId: 'ana', pageSize: 0, pageToken: '' }).catch(() => ({ messages: [] })),
      ({ messages: m }) => m.length === 3 && m.every(({ status: s }) => s !== MessageStatus.MESSAGE_STATUS_SENDING),
    );
    expect(messages.map((m) => `${m.idempotencyKey} ${m.status} ${m.reason}`)).toEqual([
      `a3 ${MessageStatus.MESSAGE_STATUS_DROPPED} no_consent`,
      `a2 ${MessageStatus.MESSAGE_STATUS_DROPPED} frequency_cap`,
      `a1 ${MessageStatus.MESSAGE_STATUS_SENT} `,
    ]);
    const [mail] = await rig.mails();
    expect(mail).toMatchObject({ To: [{ Address: 'ana@example.org' }], Subject: 'Hello Ana ana' });
    const { decisions } = await rig.output();
    expect(decisions.map((d) => `${d.idempotencyKey} ${d.reason}`).sort()).toEqual([
      'a1 ok',
      'a2 frequency_cap',
      'a3 no_consent',
      'n1 no_address',
    ]);
    await expect(rig.client.listMessages({ customerId: 'unheard', pageSize: 0, pageToken: '' })).rejects.toMatchObject({
      code: status.NOT_FOUND,
    });
    expect(await rig.pending()).toBe(0);
    expect(await (await fetch(`${rig.service.httpUrl}/metrics`)).text()).toMatch(
      /messaging_outcomes_total{[^}]*status="sent"[^}]*} 1\n/,
    );
  });

  it('tells which variables customers lack: in a preview, of several, and counted when sent', async () => {
    const source = { $case: 'templateId' as const, value: 'welcome' };
    const none = { customerJson: Buffer.alloc(0), journeyJson: Buffer.alloc(0), locale: '' };
    const preview = await rig.client.previewTemplate({ source, ...none, customerId: 'ana' });
    expect(preview).toMatchObject({ subject: 'Hello Ana ana', text: 'Your code is ', missing: ['journey.code'] });
    expect(preview.variables).toEqual(['customer.first_name', 'journey.code']);
    await expect(rig.client.previewTemplate({ source, ...none, customerId: 'unheard' })).rejects.toMatchObject({
      code: status.NOT_FOUND,
    });
    const journeyJson = Buffer.from('{"code":1}');
    const customerIds = ['ana', 'nobody', 'unheard'];
    expect(await rig.client.reportMissingVariables({ source, customerIds, journeyJson, locale: '' })).toEqual({
      ...{ customers: 2, unknown: 1, failed: 0 },
      variables: [
        { name: 'customer.first_name', parts: ['subject'], lacking: 1, printedEmpty: 1, examples: ['nobody'] },
        { name: 'journey.code', parts: ['text'], lacking: 0, printedEmpty: 0, examples: [] },
      ],
    });
    await rig.events([rig.identify('lea'), rig.ask('lea', { idempotencyKey: 'l1' })]);
    const counted = /messaging_missing_variables_total{[^}]*variable="journey.code"[^}]*} 1\n/;
    const metrics = await eventually(
      async () => (await fetch(`${rig.service.httpUrl}/metrics`)).text(),
      (text) => counted.test(text),
    );
    expect(metrics).toMatch(counted);
  });

  it('killed and restarted in the middle, with a provider that loses answers: every message once', async () => {
    const COUNT = 300;
    const before = await rig.mailCount();
    await rig.chaos({ loseAnswer: 0.05, refuse: 0.05, delayMs: 20 });
    const customers = Array.from({ length: COUNT }, (_, i) => `c${i}`);
    await rig.events(customers.map((id) => rig.identify(id)));
    await rig.events(customers.map((id) => rig.ask(id, { idempotencyKey: `crash-${id}` })));
    for (const at of [60, 120, 180, 240]) {
      await eventually(
        () => rig.mailCount(),
        (n) => n >= before + at,
      );
      // Twice it is killed, twice it may end in order.
      if (at % 120 === 60) await rig.service.kill9();
      await rig.service.restart({ REPLICA_ID: `m-${at}` });
    }
    const settled = await eventually(
      async () =>
        (await rig.output()).deliveries.filter((d) => d.idempotencyKey.startsWith('crash-') && d.status !== INTENT),
      (done) => done.length >= COUNT,
      50_000,
    );
    expect(settled.length).toBe(COUNT);
    expect(new Set(settled.map(({ status: s }) => s))).toEqual(new Set([SENT]));
    const mails = (await rig.mails()).map((mail) => mail.MessageID);
    expect(mails.length).toBe(before + COUNT);
    expect(new Set(mails).size).toBe(mails.length);
    const intents = (await rig.output()).deliveries.filter(
      (d) => d.idempotencyKey.startsWith('crash-') && d.status === INTENT,
    );
    expect(intents.length).toBe(COUNT);
    expect(
      await eventually(
        () => rig.pending(),
        (n) => n === 0,
      ),
    ).toBe(0);
  }, 120_000);
});
