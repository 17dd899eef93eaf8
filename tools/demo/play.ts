import { EventType } from '#gen/recur/log/v1/event.ts';
import type { Api } from '#tools/library/api.ts';
import { metricsOf, metricValues, until } from '#tools/library/progress.ts';
import type { ShopEvent } from '#tools/sample-shop/events.ts';
import type { SampleShop } from '#tools/sample-shop/shop.ts';

const DAY_MS = 86_400_000;
const BATCH = 500;
const TYPES = {
  identify: EventType.EVENT_TYPE_IDENTIFY,
  track: EventType.EVENT_TYPE_TRACK,
  page: EventType.EVENT_TYPE_PAGE,
};

export interface Stage {
  readonly api: Api;
  readonly shop: Pick<SampleShop, 'options' | 'day' | 'receive'>;
  /** Base URL of messaging's metrics. */
  readonly messagingHttp: string;
  readonly mailboxHttp: string;
  readonly partitions: number;
  /** Which template a subject line comes from. */
  readonly templateOf: (subject: string) => string;
}

export interface Played {
  readonly events: number;
  readonly messages: number;
}

/**
 * Plays the shop day by day on the event clock: the day's events go in, the clock moves to its end, and when everything that
 * follows from them has happened the people who got a message hear of it. The next day begins when `onDay` is done.
 */
export async function play(
  stage: Stage,
  onDay: (day: number, played: Played) => void | Promise<void>,
): Promise<Played> {
  const { shop, api } = stage;
  const mailbox = new NewMail(stage.mailboxHttp);
  const played = { events: 0, messages: 0 };
  for (let day = 0; day < shop.options.days; day++) {
    const events = shop.day(day);
    for (let i = 0; i < events.length; i += BATCH) {
      await api.ingest.sendEvents({ events: events.slice(i, i + BATCH).map(toApi), sentAtMs: 0 });
    }
    played.events += events.length;
    const midnight = shop.options.startMs + (day + 1) * DAY_MS;
    await api.ingest.advanceClock({ timeMs: midnight });
    await settled(stage, midnight);
    for (const { to, subject } of await mailbox.fetch()) {
      shop.receive(to, stage.templateOf(subject), day);
      played.messages++;
    }
    await onDay(day, played);
  }
  return played;
}

function toApi(e: ShopEvent) {
  const externalIds = (e.context?.externalIds as { type: string; id: string }[] | undefined) ?? [];
  return {
    messageId: e.messageId,
    type: TYPES[e.type],
    name: e.event ?? e.name ?? '',
    userId: e.userId ?? '',
    anonymousId: e.anonymousId ?? '',
    externalIds,
    timeMs: Date.parse(e.timestamp),
    propertiesJson: json(e.properties),
    traitsJson: json(e.traits),
    contextJson: Buffer.alloc(0),
    previousId: '',
    groupId: '',
    source: e.channel,
  };
}

const json = (value: unknown): Buffer => (value === undefined ? Buffer.alloc(0) : Buffer.from(JSON.stringify(value)));

/** Every partition of messaging has come to this moment, and no send is open. */
async function settled({ messagingHttp, partitions }: Stage, timeMs: number): Promise<void> {
  await until('the day to end in messaging', async () => {
    const text = await metricsOf(messagingHttp);
    const reached = metricValues(text, 'recur_watermark_seconds').filter((m) => m.value * 1000 >= timeMs);
    const open = metricValues(text, 'messaging_open_sends').reduce((n, m) => n + m.value, 0);
    return reached.length === partitions && open === 0;
  });
}

/** Mails that arrived since the last look. */
class NewMail {
  private readonly url: string;
  private seen = 0;

  constructor(url: string) {
    this.url = url;
  }

  async fetch(): Promise<{ to: string; subject: string }[]> {
    const { count } = await this.get<{ count: number }>('/api/v1/count');
    const mails: { to: string; subject: string }[] = [];
    // Newest first: the new ones are the first `count - seen`.
    for (let start = 0; start < count - this.seen; start += PAGE) {
      const limit = Math.min(PAGE, count - this.seen - start);
      const { messages } = await this.get<{ messages: Mail[] }>(`/api/v1/messages?start=${start}&limit=${limit}`);
      for (const m of messages) mails.push({ to: m.To[0]?.Address ?? '', subject: m.Subject });
    }
    this.seen = count;
    return mails.reverse();
  }

  private async get<T>(path: string): Promise<T> {
    return (await (await fetch(this.url + path)).json()) as T;
  }
}

const PAGE = 200;

interface Mail {
  readonly To: { Address: string }[];
  readonly Subject: string;
}
