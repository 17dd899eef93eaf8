import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { Event, EventType } from '#gen/recur/log/v1/event.ts';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import { Template } from '#gen/recur/messaging/v1/template.ts';
import { stableId } from '../../services/journey/src/core/hash.ts';
import { DefinitionError, prepare } from './definitions.ts';
import { type Message, Tally } from './tally.ts';
import { type Past, World } from './world.ts';

const DAY = 86_400_000;
const T0 = Date.parse('2026-03-02T10:00:00Z');

const folder = mkdtempSync(join(tmpdir(), 'recur-backtest-'));
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, text: string): string {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
}

const happened = (timeMs: number, event: Partial<Event>): Past => {
  const messageId = event.messageId ?? `m${timeMs}`;
  const whole = Event.fromPartial({ type: EventType.EVENT_TYPE_TRACK, timeMs, ...event, messageId });
  return { timeMs, kind: RecordKind.RECORD_KIND_EVENT, body: Event.encode(whole).finish(), messageId };
};

const known = happened(T0, {
  type: EventType.EVENT_TYPE_IDENTIFY,
  traits: [{ name: 'email', json: Buffer.alloc(0), sealed: Buffer.from([1]) }],
});
const order = (timeMs: number) => happened(timeMs, { name: 'Order Completed' });

function play(journeys: string[], history: Past[], fromMs = T0): { tally: Tally; messages: Message[] } {
  const messages: Message[] = [];
  const tally = new Tally('UTC', (message) => messages.push(message));
  const body = Template.encode(Template.fromPartial({ channel: 'email' })).finish();
  const template = { kind: 'template', id: 'hello', revision: 1, deleted: false, body };
  const { inForce } = prepare([template], { journeys, alone: false });
  new World('UTC', inForce, { fromMs, toMs: T0 + 60 * DAY }, tally).play('c1', history);
  return { tally, messages };
}

const MAIL = file(
  'mail.yaml',
  `
id: mail
name: Mail
definition:
  trigger: { event: { name: Care Due } }
  start: say
  nodes:
    - { id: say, message: { channel: email, template_id: hello, purpose: marketing, next: end } }
    - { id: end, exit: { reason: done } }`,
);
const CARE = file(
  'care.yaml',
  `
id: care
name: Care
definition:
  trigger: { event: { name: Order Completed } }
  reentry: { rule: always }
  start: wait
  nodes:
    - { id: wait, wait: { duration: P3D, next: tell } }
    - { id: tell, emit_event: { name: Care Due, next: end } }
    - { id: end, exit: { reason: done } }`,
);

test('what a journey says of a customer lets another journey act, at that moment', () => {
  const { tally, messages } = play([CARE, MAIL], [known, order(T0 + DAY)]);
  expect(messages).toMatchObject([{ journeyId: 'mail', outcome: 'send', timeMs: T0 + 4 * DAY }]);
  expect(tally.journeys.map(({ id, totals: { entered, left } }) => [id, entered, left])).toEqual([
    ['care', 1, 1],
    ['mail', 1, 1],
  ]);
});

test('what it said then, as history has it, is not said twice', () => {
  let enrolmentId = '';
  const listener = new Tally('UTC');
  listener.step = (_customerId, _timeMs, step) => {
    if (step.journeyId === 'care') enrolmentId = step.enrolmentId;
  };
  const { inForce } = prepare([], { journeys: [CARE], alone: false });
  new World('UTC', inForce, { fromMs: T0, toMs: T0 + 60 * DAY }, listener).play('c1', [known, order(T0 + DAY)]);
  // The id has the number of the step in it: one of these is what the live run left, the others are somebody else's events.
  const entries = [0, 1, 2, 3, 4].map((steps) => {
    const messageId = `journey/${stableId(enrolmentId, 'tell', steps)}`;
    const said = happened(T0 + 4 * DAY, { name: 'Care Due', messageId });
    const { tally } = play([CARE, MAIL], [known, order(T0 + DAY), said]);
    const mail = tally.journeys.find(({ id }) => id === 'mail');
    return (mail?.totals.entered ?? 0) + Object.values(mail?.refusedToEnter ?? {}).reduce((sum, n) => sum + n, 0);
  });
  expect(entries.sort()).toEqual([1, 2, 2, 2, 2]);
});

test('nobody enters before the first day, and a second customer begins with nothing', () => {
  const { tally } = play([CARE], [known, order(T0 + DAY), order(T0 + 20 * DAY)], T0 + 10 * DAY);
  expect(tally.journeys.map(({ totals }) => totals.entered)).toEqual([1]);
  expect(tally.journeys[0]?.days.map(({ day }) => day)).toEqual(['2026-03-22', '2026-03-25']);
});

test('a record the services would refuse is told with its reason, and the others count', () => {
  const broken = happened(T0 + 2 * DAY, { name: 'Consent Withdrawn', propertiesJson: Buffer.from('{"channel": 7}') });
  const { tally, messages } = play([CARE, MAIL], [known, order(T0 + DAY), broken]);
  expect(messages).toHaveLength(1);
  expect([...tally.refusals.values()]).toEqual([1]);
});

test('a journey with mistakes is refused with their places', () => {
  const bad = file(
    'bad.yaml',
    'id: bad\nname: Bad\ndefinition: { trigger: { event: { name: X } }, start: nowhere, nodes: [] }',
  );
  expect(() => prepare([], { journeys: [bad], alone: false })).toThrow(DefinitionError);
  expect(() => prepare([], { journeys: [bad], alone: false })).toThrow(/bad\.yaml: definition/);
});

const REVIEW = file(
  'review.yaml',
  `
id: review
name: Review
definition:
  trigger: { event: { name: Order Completed, where: [{ property: order_id, op: exists }] } }
  reentry: { rule: always }
  exit_when:
    - event: { name: Order Refunded, where: [{ property: order_id, op: eq, trigger_property: order_id }] }
  start: ask
  nodes:
    - { id: ask, message: { channel: email, template_id: hello, purpose: marketing, next: end } }
    - { id: end, exit: { reason: done } }`,
);
const about = (timeMs: number, name: string, orderId: string) =>
  happened(timeMs, { name, propertiesJson: Buffer.from(JSON.stringify({ order_id: orderId })) });

test('an order given back while the invitation to review it waits for the morning: not sent, with the reason', () => {
  const HOUR = 3_600_000;
  const night = T0 + 12 * HOUR;
  const outcomes = (...more: Past[]) =>
    play([REVIEW], [known, about(night, 'Order Completed', 'o1'), ...more]).messages.map(
      ({ outcome, reason, timeMs }) => `${outcome} ${reason} ${(timeMs - night) / HOUR}`,
    );
  const waits = 'defer quiet_hours 0';
  expect(outcomes()).toEqual([waits, 'send ok 11']);
  expect(outcomes(about(night + HOUR, 'Order Refunded', 'o1'))).toEqual([
    waits,
    'drop recalled: exit_event: Order Refunded 1',
  ]);
  expect(outcomes(about(night + HOUR, 'Order Refunded', 'o2'))).toEqual([waits, 'send ok 11']);
  expect(outcomes(about(night + 12 * HOUR, 'Order Refunded', 'o1'))).toEqual([waits, 'send ok 11']);
});
