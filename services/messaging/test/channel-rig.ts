import { pino } from 'pino';
import { Registry } from 'prom-client';
import { Delivery, SendRequest } from '#gen/recur/log/v1/changes.ts';
import { SendWork } from '#gen/recur/messaging/v1/state.ts';
import { MessagingSettings, Template } from '#gen/recur/messaging/v1/template.ts';
import { KeyRing } from '#lib/seal/keys.ts';
import { Sealer } from '#lib/seal/sealer.ts';
import type { OutcomeRecord, PendingWork } from '#lib/stream/processor.ts';
import type { Channel } from '../src/channels/channel.ts';
import { Writer } from '../src/channels/writer.ts';
import { Tokens } from '../src/links/tokens.ts';
import { OutboxMetrics } from '../src/outbox/metrics.ts';
import { Outbox } from '../src/outbox/outbox.ts';
import { TemplateLibrary } from '../src/store/template-library.ts';

const sealer = new Sealer(new KeyRing([{ id: 1, bytes: Buffer.alloc(32, 7) }]));
export const tokens: Tokens = new Tokens(sealer);

/** What channels write with: these templates in revision 5, and these settings. */
export function writerWith(templates: readonly Template[], settings: Partial<MessagingSettings> = {}): Writer {
  const library = new TemplateLibrary();
  for (const template of templates)
    library.compile({ kind: 'template', id: template.id, revision: 5, body: Template.encode(template).finish() });
  const body = MessagingSettings.encode(MessagingSettings.fromPartial(settings)).finish();
  library.noteSettings({ kind: 'messaging_settings', id: 'default', revision: 1, body });
  return new Writer({ open: (sealed) => sealer.open(sealed).toString('utf8'), templates: library });
}

/** An outbox in front of one channel, with waits a hundredth as long, and what it told the log. */
export function outboxOf(channel: Channel) {
  const records: OutcomeRecord[] = [];
  const begun = new Set<string>();
  const outbox = new Outbox({
    ...{ logger: pino({ level: 'silent' }), now: Date.now, live: true, pace: 0.01 },
    channels: new Map([[channel.name, channel]]),
    marks: {
      add: async (keys) => {
        for (const key of [...keys.values()].flat()) begun.add(key);
      },
      find: async () => begun,
    },
    metrics: new OutboxMetrics(new Registry()),
  });
  const append = async (more: readonly OutcomeRecord[]) => void records.push(...more);
  const handle = { partition: 0, owned: true, append };
  const settled = async (count: number, ms = 60_000): Promise<Delivery[]> => {
    for (const until = Date.now() + ms; Date.now() < until && records.length < count; )
      await new Promise((resolve) => setTimeout(resolve, 10));
    return records.map(({ body }) => Delivery.decode(body));
  };
  return { outbox, settled, accept: (work: readonly PendingWork[]) => outbox.accept(work, handle) };
}

export function workFor(
  key: string,
  request: Partial<SendRequest>,
  address?: string,
  traits: Record<string, string> = {},
) {
  const seal = (value: string) => sealer.seal(JSON.stringify(value));
  const sealed = Object.entries(traits).map(([name, value]) => [
    name,
    { json: Buffer.alloc(0), sealed: seal(value), timeMs: 0 },
  ]);
  const work = SendWork.fromPartial({
    request: SendRequest.fromPartial({ idempotencyKey: key, purpose: 'marketing', journeyId: 'j', ...request }),
    ...{ templateRevision: 5, locale: 'en', decidedAtMs: Date.now(), traits: Object.fromEntries(sealed) },
    ...(address !== undefined && { addressSealed: seal(address) }),
  });
  return { customerId: `c-${key}`, key, bytes: SendWork.encode(work).finish(), recovered: false };
}
