import { Rule } from '#gen/recur/segmentation/v1/rule.ts';
import { Segment } from '#gen/recur/segmentation/v1/segment.ts';
import { LIFECYCLE_STAGES } from '../src/core/lifecycle.ts';
import { RFM_CLASSES } from '../src/core/rfm.ts';

/** Numbers from 0 to below 1, the same for the same seed. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** The first two are most of the traffic; rules name all of them alike. */
export const EVENT_NAMES = [
  ...[
    'Product Viewed',
    'page',
    'Product Added',
    'Products Searched',
    'Checkout Started',
    'Order Completed',
    'Order Refunded',
  ],
  ...[
    'Coupon Applied',
    'Product List Viewed',
    'Product Shared',
    'Wishlist Product Added',
    'Live Room Entered',
    'Email Opened',
  ],
  ...['Email Clicked', 'Review Submitted', 'Survey Answered', 'Points Redeemed', 'Ticket Opened', 'Promotion Clicked'],
  ...['Cart Viewed', 'Product Removed', 'Coupon Denied', 'Payment Info Entered', 'Video Started', 'Referral Sent'],
];
export const CATEGORIES = Array.from({ length: 40 }, (_, i) => `category-${i}`);
const WINDOWS = [1, 3, 7, 14, 30, 60, 90, 180, 365];

/** What marketers write: windows and counts of events, order figures, traits, categories, classes, combined by all and not. */
export function segments(n: number, seed = 7): Segment[] {
  const random = randomFrom(seed);
  const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)] as T;
  const int = (from: number, to: number) => from + Math.floor(random() * (to - from + 1));
  const condition = (): object => {
    const r = random();
    const days = pick(WINDOWS);
    if (r < 0.3) return { event: { name: pick(EVENT_NAMES), days, count: { atLeast: int(1, 20) } } };
    if (r < 0.4) return { not: { event: { name: pick(EVENT_NAMES), days } } };
    if (r < 0.47) return { event: { name: 'Order Completed', days, amountMicros: { moreThan: int(1, 200) * 5e6 } } };
    if (r < 0.55) return { orders: { count: { atLeast: int(1, 12) } } };
    if (r < 0.62) return { orders: { netMicros: { moreThan: int(1, 300) * 5e6 } } };
    if (r < 0.69) return { orders: { daysSinceLast: { atLeast: int(1, 180) } } };
    if (r < 0.77) return { trait: { name: pick(['city', 'tier', 'gender']), equals: `value-${int(0, 50)}` } };
    if (r < 0.82) return { trait: { name: 'age', number: { atLeast: int(18, 60) } } };
    if (r < 0.88) return { category: { name: pick(CATEGORIES), bought: { atLeast: int(1, 5) } } };
    if (r < 0.92) return { category: { name: pick(CATEGORIES), top: true } };
    if (r < 0.95) return { lifecycle: { in: [pick(LIFECYCLE_STAGES).id] } };
    if (r < 0.98) return { rfm: { in: [pick(RFM_CLASSES).id] } };
    return { source: { in: [pick(['web', 'pos', 'wechat'])] } };
  };
  return Array.from({ length: n }, (_, i) => {
    const parts = Array.from({ length: int(1, 4) }, condition);
    if (i > 10 && random() < 0.1) parts.push({ segment: `s${int(0, i - 1)}` });
    return Segment.fromPartial({ id: `s${i}`, rule: Rule.fromPartial({ all: parts }) });
  });
}
