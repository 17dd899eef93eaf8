import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pino } from 'pino';
import PostalMime from 'postal-mime';
import { Registry } from 'prom-client';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import { afterEach, describe, expect, it } from 'vitest';
import { Delivery, DeliveryStatus } from '#gen/recur/log/v1/changes.ts';
import { SendWork } from '#gen/recur/messaging/v1/state.ts';
import { MessagingSettings, Template } from '#gen/recur/messaging/v1/template.ts';
import { KeyRing } from '#lib/seal/keys.ts';
import { Sealer } from '#lib/seal/sealer.ts';
import type { OutcomeRecord } from '#lib/stream/processor.ts';
import { quietPort } from '#tools/testkit/servers.ts';
import { Composer } from '../src/channels/email/compose.ts';
import { EmailChannel } from '../src/channels/email/email.ts';
import { SentLookup } from '../src/channels/email/lookup.ts';
import { SmtpTransport } from '../src/channels/email/smtp.ts';
import { Writer } from '../src/channels/writer.ts';
import { OutboxMetrics } from '../src/outbox/metrics.ts';
import { Outbox } from '../src/outbox/outbox.ts';
import { TemplateLibrary } from '../src/store/template-library.ts';

const { DELIVERY_STATUS_SENT: SENT, DELIVERY_STATUS_FAILED: FAILED, DELIVERY_STATUS_UNKNOWN: UNKNOWN } = DeliveryStatus;
const sealer = new Sealer(new KeyRing([{ id: 1, bytes: Buffer.alloc(32, 7) }]));
const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

type Answer = 'take' | 'refuse for now' | 'refuse for good' | 'take and hang up' | 'hang up at data';

/** A real SMTP server that answers each mail as told, with the lookup API of a mailbox beside it. */
class Provider {
  readonly stored: string[] = [];
  connections = 0;
  private readonly answers: Answer[];
  private readonly smtp: SMTPServer;
  private readonly http: Server;

  constructor(answers: Answer[] = []) {
    this.answers = answers;
    const onData: SMTPServerOptions['onData'] = (stream, session, done) => {
      const answer = this.answers.shift() ?? 'take';
      if (answer === 'hang up at data') return this.hangUp(session.id);
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        if (answer === 'refuse for now') return done(failure(451, '4.7.1 <who@ever.example> later'));
        if (answer === 'refuse for good') return done(failure(550, '5.1.1 <who@ever.example> unknown'));
        this.stored.push(Buffer.concat(chunks).toString('utf8'));
        if (answer === 'take and hang up') return this.hangUp(session.id);
        done(null, 'Ok: queued as 42');
      });
    };
    const onConnect: SMTPServerOptions['onConnect'] = (_session, done) => {
      this.connections++;
      done();
    };
    this.smtp = new SMTPServer({
      disabledCommands: ['AUTH', 'STARTTLS'],
      disableReverseLookup: true,
      closeTimeout: 100,
      onData,
      onConnect,
    });
    this.smtp.on('error', () => undefined);
    this.http = createServer((request, response) => {
      const id = /^message-id:(.+)$/.exec(new URL(request.url ?? '/', 'http://x').searchParams.get('query') ?? '')?.[1];
      const messages = this.stored
        .filter((mail) => mail.includes(`Message-ID: <${id}>`))
        .map(() => ({ MessageID: id }));
      response.end(JSON.stringify({ messages }));
    });
  }

  async listen(port = 0): Promise<this> {
    await new Promise<void>((resolve) => this.smtp.listen(port, '127.0.0.1', resolve));
    await new Promise<void>((resolve) => this.http.listen(0, '127.0.0.1', resolve));
    closing.push(() => this.close());
    return this;
  }

  get smtpUrl(): string {
    return `smtp://127.0.0.1:${(this.smtp.server.address() as AddressInfo).port}`;
  }

  get lookupUrl(): string {
    return `http://127.0.0.1:${(this.http.address() as AddressInfo).port}/`;
  }

  private async close(): Promise<void> {
    this.http.closeAllConnections();
    await new Promise((resolve) => this.http.close(resolve));
    await new Promise<void>((resolve) => this.smtp.close(resolve));
  }

  private hangUp(sessionId: string): void {
    for (const connection of this.smtp.connections as Iterable<unknown>) {
      const { id, _socket } = connection as { id: string; _socket: { destroy(): void } };
      if (id === sessionId) _socket.destroy();
    }
  }
}

function failure(responseCode: number, message: string): Error {
  return Object.assign(new Error(message), { responseCode });
}

const template = Template.fromPartial({
  ...{ id: 'welcome', name: 'Welcome', channel: 'email' },
  content: {
    subject: 'Hello {{ customer.first_name }}',
    text: 'For {{ customer.email }}',
    html: '<b>{{ customer.first_name }}</b>',
  },
  variants: { zh: { subject: '你好 {{ customer.first_name }}', text: '欢迎', html: '' } },
});

function open(smtpUrl: string, lookupUrl?: string) {
  const library = new TemplateLibrary();
  library.compile({ kind: 'template', id: 'welcome', revision: 5, body: Template.encode(template).finish() });
  const settings = MessagingSettings.fromPartial({
    senderName: 'The Shop',
    unsubscribeUrl: 'https://shop.example/u/{message_id}',
  });
  library.noteSettings({
    kind: 'messaging_settings',
    id: 'default',
    revision: 1,
    body: MessagingSettings.encode(settings).finish(),
  });
  const sender = { name: '', address: 'shop@example.com' };
  const writer = new Writer({ open: (sealed) => sealer.open(sealed).toString('utf8'), templates: library });
  const composer = new Composer({ sender, writer });
  const transport = new SmtpTransport({ url: smtpUrl, connections: 3 });
  closing.push(() => transport.close());
  const lookup = lookupUrl === undefined ? undefined : new SentLookup(lookupUrl);
  const begun = new Set<string>();
  const records: OutcomeRecord[] = [];
  const outbox = new Outbox({
    ...{ logger: pino({ level: 'silent' }), now: Date.now, live: true, pace: 0.05 },
    channels: new Map([['email', new EmailChannel({ composer, transport, connections: 3, lookup })]]),
    marks: {
      add: async (keys) => {
        for (const key of [...keys.values()].flat()) begun.add(key);
      },
      find: async () => begun,
    },
    metrics: new OutboxMetrics(new Registry()),
  });
  const handle = {
    partition: 0,
    owned: true,
    append: async (more: readonly OutcomeRecord[]) => void records.push(...more),
  };
  const settled = async (count: number) => {
    for (const until = Date.now() + 50_000; Date.now() < until && records.length < count; )
      await new Promise((resolve) => setTimeout(resolve, 5));
    return records.map(({ body }) => Delivery.decode(body));
  };
  return { outbox, handle, settled, begun, composer };
}

function work(
  key: string,
  more: { recovered?: boolean; locale?: string; purpose?: string; name?: string; to?: string } = {},
) {
  const { recovered = false, locale = 'en', purpose = 'marketing', name = 'Ana & Bo', to = 'ana@example.org' } = more;
  const traits = { first_name: { json: Buffer.alloc(0), sealed: sealer.seal(JSON.stringify(name)), timeMs: 0 } };
  const request = { idempotencyKey: key, channel: 'email', templateId: 'welcome', purpose, journeyId: 'j' };
  const bytes = SendWork.encode(
    SendWork.fromPartial({
      request,
      templateRevision: 5,
      addressSealed: sealer.seal(JSON.stringify(to)),
      locale,
      traits,
      decidedAtMs: Date.now(),
    }),
  ).finish();
  return { customerId: 'c', key, bytes, recovered };
}

describe('e-mail over a real SMTP server', () => {
  it('arrives as written, with its Message-ID and List-Unsubscribe', async () => {
    const provider = await new Provider().listen();
    const { outbox, handle, settled, composer } = open(provider.smtpUrl);
    outbox.accept([work('k1'), work('k2', { locale: 'zh-CN', purpose: 'transactional' })], handle);
    const outcomes = await settled(2);
    expect(outcomes).toMatchObject([{ status: SENT, providerId: '42', journeyId: 'j', attempts: 1 }, { status: SENT }]);
    const mails = await Promise.all(provider.stored.map((raw) => new PostalMime().parse(raw)));
    const first = mails.find((mail) => mail.messageId === `<${composer.messageId('k1')}>`);
    expect(first).toMatchObject({
      ...{ subject: 'Hello Ana & Bo', from: { name: 'The Shop', address: 'shop@example.com' } },
      to: [{ address: 'ana@example.org' }],
    });
    expect(first?.html?.trim()).toBe('<b>Ana &amp; Bo</b>');
    expect(first?.text?.trim()).toBe('For ana@example.org');
    const unsubscribe = first?.headers.find((header) => header.key === 'list-unsubscribe')?.value;
    expect(unsubscribe).toBe(`<https://shop.example/u/${encodeURIComponent(composer.messageId('k1'))}>`);
    const second = mails.find((mail) => mail.messageId === `<${composer.messageId('k2')}>`);
    expect(second?.subject).toBe('你好 Ana & Bo');
    expect(second?.headers.some((header) => header.key === 'list-unsubscribe')).toBe(false);
  });

  it('keeps a connection while mails come now and then, and ends it when none do', async () => {
    const provider = await new Provider().listen();
    const transport = new SmtpTransport({ url: provider.smtpUrl, connections: 3, idleMs: 2000 });
    closing.push(() => transport.close());
    for (const [pauseMs, connections] of [
      [0, 1],
      [1200, 1],
      [1200, 1],
      [3000, 2],
    ] as const) {
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
      const from = { name: '', address: 'shop@example.com' };
      const text = { subject: 'Hello', text: 'Hello', html: '', headers: {} };
      const result = await transport.send({ messageId: 'a@example.com', from, to: 'ana@example.org', ...text });
      expect(result).toEqual({ kind: 'accepted', providerId: '42' });
      expect(provider.connections).toBe(connections);
    }
  });

  it('a server that falls silent in the middle of a call is given up', async () => {
    const silent = new SMTPServer({
      disabledCommands: ['AUTH', 'STARTTLS'],
      disableReverseLookup: true,
      onData: (s) => s.resume(),
    });
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.server.address() as AddressInfo;
    const transport = new SmtpTransport({ url: `smtp://127.0.0.1:${port}`, connections: 1, callMs: 2000 });
    closing.push(
      () => new Promise<void>((resolve) => silent.close(() => resolve())),
      () => transport.close(),
    );
    const mail = { from: { name: '', address: 'shop@example.com' }, to: 'ana@example.org', subject: 'Hello' };
    const result = await transport.send({ ...mail, messageId: 'a@example.com', text: 'Hello', html: '', headers: {} });
    expect(result.kind).toBe('lost');
  });

  it('keeps its connections', async () => {
    const provider = await new Provider().listen();
    const { outbox, handle, settled } = open(provider.smtpUrl);
    outbox.accept(
      Array.from({ length: 120 }, (_, i) => work(`k${i}`)),
      handle,
    );
    const outcomes = await settled(120);
    expect(outcomes.filter(({ status }) => status === SENT).length).toBe(120);
    expect(provider.stored.length).toBe(120);
    expect(provider.connections).toBeLessThanOrEqual(3);
  });

  it('4xx: tried again; 5xx: failed, and the reason quotes no address', async () => {
    const provider = await new Provider(['refuse for now', 'refuse for now', 'take', 'refuse for good']).listen();
    const { outbox, handle, settled } = open(provider.smtpUrl);
    outbox.accept([work('k1')], handle);
    expect(await settled(1)).toMatchObject([{ status: SENT, attempts: 3 }]);
    outbox.accept([work('k2')], handle);
    expect((await settled(2))[1]).toMatchObject({ status: FAILED, attempts: 1, reason: 'smtp 550 5.1.1' });
    expect(provider.stored.length).toBe(1);
  });

  it('nobody listens: tried again until somebody does', async () => {
    const port = await quietPort();
    const { outbox, handle, settled } = open(`smtp://127.0.0.1:${port}`);
    outbox.accept([work('k1')], handle);
    await new Promise((resolve) => setTimeout(resolve, 150));
    const back = await new Provider().listen(port);
    const [outcome] = await settled(1);
    expect(outcome).toMatchObject({ status: SENT });
    expect(outcome?.attempts).toBeGreaterThan(1);
    expect(back.stored.length).toBe(1);
  });

  it('taken, then cut off before the answer: found by lookup, once in the mailbox', async () => {
    const provider = await new Provider(['take and hang up']).listen();
    const { outbox, handle, settled } = open(provider.smtpUrl, provider.lookupUrl);
    outbox.accept([work('k1')], handle);
    expect(await settled(1)).toMatchObject([{ status: SENT, attempts: 1, reason: 'found by its Message-ID' }]);
    expect(provider.stored.length).toBe(1);
  });

  it('cut off in the middle of the mail: not found, sent again with the same Message-ID', async () => {
    const provider = await new Provider(['hang up at data']).listen();
    const { outbox, handle, settled } = open(provider.smtpUrl, provider.lookupUrl);
    outbox.accept([work('k1')], handle);
    expect(await settled(1)).toMatchObject([{ status: SENT, attempts: 2 }]);
    expect(provider.stored.length).toBe(1);
  });

  it('cut off and nobody to ask: unknown, never repeated', async () => {
    const provider = await new Provider(['take and hang up']).listen();
    const { outbox, handle, settled } = open(provider.smtpUrl);
    outbox.accept([work('k1')], handle);
    expect(await settled(1)).toMatchObject([{ status: UNKNOWN, attempts: 1 }]);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(provider.stored.length).toBe(1);
  });

  it('recovered after a crash: sent once, whether it had been sent before or not', async () => {
    const provider = await new Provider().listen();
    const before = open(provider.smtpUrl);
    before.outbox.accept([work('k1')], before.handle);
    await before.settled(1);
    const after = open(provider.smtpUrl, provider.lookupUrl);
    after.outbox.accept([work('k1', { recovered: true }), work('k2', { recovered: true })], after.handle);
    expect((await after.settled(2)).map(({ status, reason }) => `${status} ${reason}`).sort()).toEqual([
      `${SENT} `,
      `${SENT} found by its Message-ID`,
    ]);
    expect(provider.stored.length).toBe(2);
  });

  it('recovered without lookup: begun is unknown, the rest is sent', async () => {
    const provider = await new Provider().listen();
    const { outbox, handle, settled, begun } = open(provider.smtpUrl);
    begun.add('k1');
    outbox.accept([work('k1', { recovered: true }), work('k2', { recovered: true })], handle);
    const outcomes = (await settled(2)).map(({ idempotencyKey, status }) => `${idempotencyKey} ${status}`);
    expect(outcomes.sort()).toEqual([`k1 ${UNKNOWN}`, `k2 ${SENT}`]);
    expect(provider.stored.length).toBe(1);
  });

  it('addresses and names that try to be more than that never reach the server', async () => {
    const provider = await new Provider().listen();
    const { outbox, handle, settled } = open(provider.smtpUrl);
    const bad = ['a@b.co\r\nRCPT TO:<c@d.co>', 'a@b.co, c@d.co', '<a@b.co>', 'a@b.co\nBcc: c@d.co'];
    outbox.accept(
      bad.map((to, i) => work(`k${i}`, { to })),
      handle,
    );
    outbox.accept([work('subject', { name: 'Ana\r\nBcc: all@example.com' })], handle);
    const reasons = (await settled(5)).map(({ status, reason }) => `${status} ${reason}`);
    expect(reasons).toEqual([...bad.map(() => `${FAILED} bad_address`), `${FAILED} template_error: subject line 0`]);
    expect(provider.stored).toEqual([]);
  });
});
