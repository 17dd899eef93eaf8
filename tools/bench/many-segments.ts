import { Rule } from '#gen/recur/segmentation/v1/rule.ts';
import { Segment } from '#gen/recur/segmentation/v1/segment.ts';
import { CATEGORY_NAMES } from '#tools/sample-shop/catalogue.ts';
import { Random } from '#tools/sample-shop/random.ts';

const EVENTS = ['Product Viewed', 'Product Added', 'Order Completed', 'Order Refunded', 'Coupon Applied'];
const WINDOWS = [1, 3, 7, 14, 30, 60, 90, 180, 365];
const CITIES = ['Shanghai', 'Beijing', 'Wuhan', 'Chengdu', 'Shenzhen'];
const STAGES = ['prospect', 'first_purchase', 'active', 'loyal', 'at_risk', 'lost'];
const MICROS = 1_000_000;

/** What marketers of the sample shop write, any number of them: one to four conditions each, every tenth about another segment. */
export function manySegments(n: number, seed = 7): Segment[] {
  const random = new Random(seed);
  return Array.from({ length: n }, (_, i) => {
    const all = Array.from({ length: random.between(1, 4) }, () => condition(random));
    // Far enough back to be there already when many are created at a time.
    if (i > 100 && random.next() < 0.1) all.push({ segment: `many_${random.between(0, i - 100)}` });
    return Segment.fromPartial({ id: `many_${i}`, rule: Rule.fromPartial({ all }) });
  });
}

function condition(random: Random): object {
  const days = random.pick(WINDOWS);
  const kind = random.next();
  if (kind < 0.3) return { event: { name: random.pick(EVENTS), days, count: { atLeast: random.between(1, 20) } } };
  if (kind < 0.4) return { not: { event: { name: random.pick(EVENTS), days } } };
  if (kind < 0.47) {
    return {
      event: { name: 'Order Completed', days, amountMicros: { moreThan: random.between(1, 400) * 5 * MICROS } },
    };
  }
  if (kind < 0.55) return { orders: { count: { atLeast: random.between(1, 12) } } };
  if (kind < 0.62) return { orders: { netMicros: { moreThan: random.between(1, 600) * 5 * MICROS } } };
  if (kind < 0.69) return { orders: { daysSinceLast: { atLeast: random.between(1, 180) } } };
  if (kind < 0.79) return { trait: { name: 'city', equals: random.pick(CITIES) } };
  if (kind < 0.88)
    return { category: { name: random.pick(CATEGORY_NAMES), bought: { atLeast: random.between(1, 9) } } };
  if (kind < 0.92) return { category: { name: random.pick(CATEGORY_NAMES), top: true } };
  if (kind < 0.95) return { lifecycle: { in: [random.pick(STAGES)] } };
  if (kind < 0.98) return { rfm: { in: ['important_value'] } };
  return { source: { in: [random.pick(['web', 'pos', 'tmall'])] } };
}
