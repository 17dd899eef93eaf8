// node services/messaging/bench/messaging.bench.ts: what an event costs that messaging does not care about, a decision, a mail.
import { SendRequest } from '#gen/recur/log/v1/changes.ts';
import { Event, EventType } from '#gen/recur/log/v1/event.ts';
import { CustomerState } from '#gen/recur/messaging/v1/state.ts';
import { TemplateContent } from '#gen/recur/messaging/v1/template.ts';
import { decide } from '../src/core/decide.ts';
import { interestOf } from '../src/core/event-scan.ts';
import { DEFAULT_POLICY } from '../src/core/settings.ts';
import { render } from '../src/render/render.ts';
import { NOBODY } from '../src/render/validate.ts';

function time(name: string, runs: number, run: () => void): void {
  for (let i = 0; i < runs / 10; i++) run();
  const begun = performance.now();
  for (let i = 0; i < runs; i++) run();
  const micros = ((performance.now() - begun) * 1000) / runs;
  console.log(`${name.padEnd(40)} ${micros.toFixed(3)} µs`);
}

const view = { messageId: '0192f0c1-5c1e-7b7e-8d2c-000000000000', timeMs: 1_790_000_000_000, source: 'web' };
const commerce = { orderId: '', amountMicros: 0, currency: '', part: 0, coupon: '', lines: [] };
const encode = (name: string) =>
  Event.encode(Event.fromPartial({ ...view, type: EventType.EVENT_TYPE_TRACK, name, commerce })).finish();
const product = encode('Product Viewed');
const unsubscribed = encode('Unsubscribed');
time('event of no interest, looked at', 2_000_000, () => void interestOf(product));
time('event of interest, looked at', 2_000_000, () => void interestOf(unsubscribed));
time('event, decoded (for comparison)', 200_000, () => void Event.decode(product));

const state = CustomerState.fromPartial({ email: { sealed: Buffer.from('x'), timeMs: 1 } });
const request = SendRequest.fromPartial({ channel: 'email', purpose: 'marketing' });
const at = {
  now: Date.parse('2026-05-05T04:00Z'),
  policy: DEFAULT_POLICY,
  shopTimeZone: 'Asia/Shanghai',
  channels: new Set(['email']),
  template: { category: '' },
};
time('decision by day', 20_000, () => void decide(state, request, at));
time('decision by night', 20_000, () => void decide(state, request, { ...at, now: at.now + 12 * 3_600_000 }));

const content = TemplateContent.fromPartial({
  subject: 'Hello {{ customer.first_name }}',
  html: '<p>{{ customer.first_name | default: "there" }}</p>'.repeat(20),
});
time('mail rendered', 5_000, () => void render(content, NOBODY));
