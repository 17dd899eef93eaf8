import { Event, EventType } from '#gen/recur/log/v1/event.ts';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import { Aggregation, ComputedTrait } from '#gen/recur/profile/v1/computed_trait.ts';
import { ProcessorHarness } from '#lib/stream/testing.ts';
import { KINDS, readyRevision } from '../src/core/plan.ts';
import type { ProfileState } from '../src/core/state.ts';
import { profileStage } from '../src/stage.ts';

/** Different profiles; beyond, they repeat under other ids, which makes no difference to Redis. */
export const SAMPLES = 2_000;
const DAY = 86_400_000;
const NOW = Date.UTC(2026, 5, 1, 12);

const TRAITS: Readonly<Record<string, (i: number) => unknown>> = {
  firstName: (i) => `Name${i % 400}`,
  gender: (i) => (i % 2 === 0 ? 'female' : 'male'),
  city: (i) => ['Shanghai', 'Hangzhou', 'Chengdu', 'Beijing'][i % 4],
  province: (i) => ['Zhejiang', 'Sichuan'][i % 2],
  country: () => 'CN',
  birthday: (i) => `19${60 + (i % 40)}-0${1 + (i % 9)}-11`,
  locale: () => 'zh-CN',
  timezone: () => 'Asia/Shanghai',
  skin_type: (i) => ['dry', 'oily', 'mixed'][i % 3],
  member_level: (i) => ['silver', 'gold'][i % 2],
  points: (i) => i * 10,
  height: (i) => 150 + (i % 40),
  size: (i) => ['S', 'M', 'L'][i % 3],
  pet: (i) => i % 3 === 0,
  newsletter: (i) => i % 2 === 0,
  store: (i) => `S${i % 80}`,
  advisor: (i) => `A${i % 200}`,
  channel: (i) => ['tmall', 'web'][i % 2],
  children: (i) => i % 3,
  nps: (i) => i % 11,
};

const WINDOWS = [7, 14, 30, 90, 365].flatMap((days) => [
  { id: `views_${days}`, events: ['Product Viewed'], aggregation: Aggregation.AGGREGATION_COUNT, days },
  {
    id: `spent_${days}`,
    events: ['Order Completed'],
    aggregation: Aggregation.AGGREGATION_SUM,
    property: 'amount',
    days,
  },
]);

/** A customer of about half a year: an order every two months, and looks at something on three days of each. */
export function sampleProfiles(): ProfileState[] {
  const harness = new ProcessorHarness(profileStage('Asia/Shanghai'));
  for (const [i, { days, ...rest }] of WINDOWS.entries()) {
    const trait = ComputedTrait.fromPartial({
      englishName: rest.id,
      ...rest,
      window: { $case: 'days', value: days },
    } as never);
    const define = (kind: string, revision: number, body: Uint8Array) =>
      harness.define({ kind, id: rest.id, revision, deleted: false, body }, NOW);
    define(KINDS.computedTrait, i + 1, ComputedTrait.encode(trait).finish());
    define(KINDS.backfill, readyRevision(i + 1), new Uint8Array());
  }
  const samples: ProfileState[] = [];
  for (let i = 0; i < SAMPLES; i++) {
    const id = `sample-${i}`;
    const send = (event: object) =>
      harness.input(id, RecordKind.RECORD_KIND_EVENT, Event.encode(Event.fromPartial(event as never)).finish(), NOW);
    const traits = Object.entries(TRAITS).map(([name, of]) => ({ name, json: Buffer.from(JSON.stringify(of(i))) }));
    send({ type: EventType.EVENT_TYPE_IDENTIFY, timeMs: NOW - 180 * DAY, source: 'web', traits });
    for (let n = 0; n < 3; n++) {
      const timeMs = NOW - (20 + 60 * n + (i % 7)) * DAY;
      const lines = [
        { productId: `p${i % 300}`, category: ['sunscreen', 'serum'][n % 2], quantity: 1, priceMicros: 99e6 },
      ];
      for (let view = 0; view < 3; view++) {
        send({
          type: EventType.EVENT_TYPE_TRACK,
          name: 'Product Viewed',
          timeMs: timeMs + view * DAY,
          commerce: { lines },
        });
      }
      const commerce = {
        orderId: `2026${1_000_000 + i * 3 + n}`,
        amountMicros: 99e6 + i * 1e4,
        currency: 'CNY',
        lines,
      };
      send({ type: EventType.EVENT_TYPE_TRACK, name: 'Order Completed', timeMs: timeMs + 2 * DAY, commerce });
    }
    const state = harness.state(id);
    if (state === undefined) throw new Error('the stage made no profile');
    samples.push(state);
  }
  return samples;
}
