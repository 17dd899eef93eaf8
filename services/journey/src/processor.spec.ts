import { describe, expect, it } from 'vitest';
import { EventType } from '#gen/recur/log/v1/event.ts';
import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import { HoldOutSettings } from '#gen/recur/segmentation/v1/segment.ts';
import { isHeldOut } from '#lib/buckets/buckets.ts';
import { encodeEvent, type Happening, T0, World } from '../test/scenario.ts';

/** Short spellings of journeys. */
const message = (id: string, next: string) =>
  `{id: ${id}, message: {channel: email, template_id: t_${id}, purpose: marketing, next: ${next}}}`;
const end = '{id: end, exit: {}}';
const onSignUp = 'trigger: {event: {name: Signed Up}}';
/** Starts at the first node; brings the node "end" where it is named. */
const journey = (nodes: string[], rest: string = onSignUp) => {
  const all = nodes.some((node) => /: end\b/.test(node)) ? [...nodes, end] : nodes;
  return `{id: j, definition: {start: ${/id: (\w+)/.exec(nodes[0]!)![1]}, nodes: [${all.join(', ')}], ${rest}}}`;
};
const signUp = (at = '', who = 'c1'): Happening => ({ at, who, event: 'Signed Up' });
const order = (at: string, who = 'c1', amount = 100): Happening => ({ at, who, event: 'Order Completed', amount });

interface Scenario {
  name: string;
  journeys: string[];
  happenings: Happening[];
  expected: string[];
}

const WAIT = [`{id: w, wait: {duration: P3D, next: m}}`, message('m', 'end')];
const BUY = [
  '{id: b, wait_for_event: {event: {name: Order Completed, where: [{property: amount, op: gte, value: 50}]}, timeout: P7D, happened: end, timed_out: m}}',
  message('m', 'end'),
];
const AB = (a: number, b: number, h: number) => [
  `{id: s, split: {experiment_id: exp, variants: [{id: a, weight: ${a}, next: ma}, {id: b, weight: ${b}, next: mb}, {id: none, weight: ${h}, next: end, hold_out: true}]}}`,
  message('ma', 'end'),
  message('mb', 'end'),
];

const scenarios: Scenario[] = [
  {
    name: 'message and exit: asked for at once',
    journeys: [journey([message('m', 'x'), '{id: x, exit: {reason: done}}'])],
    happenings: [{ event: 'Other' }, signUp()],
    expected: ['c1 ENROLLED', 'c1 REACHED m', 'c1 SEND m t_m', 'c1 REACHED x', 'c1 EXITED (done)'],
  },
  {
    name: 'wait: goes on exactly when it is over',
    journeys: [journey(WAIT)],
    happenings: [signUp(), { at: 'PT71H59M59S', wait: true }, { at: 'P3D', wait: true }],
    expected: ['c1 ENROLLED', 'c1 REACHED w', 'c1 REACHED m', 'c1 SEND m t_m', 'c1 REACHED end', 'c1 EXITED (end)'],
  },
  {
    name: 'wait until a local time: 10:00 in Shanghai is 02:00 after T0',
    journeys: [journey([`{id: w, wait: {until_local_time: "10:00", next: end}}`])],
    happenings: [
      signUp(),
      { at: 'PT1H59M', wait: true },
      { at: 'PT2H', wait: true },
      signUp('PT3H', 'c2'),
      { at: 'P1DT1H', wait: true },
      { at: 'P1DT2H', wait: true },
    ],
    expected: [
      'c1 ENROLLED',
      'c1 REACHED w',
      'c1 REACHED end',
      'c1 EXITED (end)',
      'c2 ENROLLED',
      'c2 REACHED w',
      'c2 REACHED end',
      'c2 EXITED (end)',
    ],
  },
  {
    name: 'wait for event: it happens, and passes the filter',
    journeys: [journey(BUY)],
    happenings: [signUp(), order('P1D', 'c1', 49), order('P2D', 'c1', 50), { at: 'P20D', wait: true }],
    expected: ['c1 ENROLLED', 'c1 REACHED b', 'c1 REACHED end (b: happened)', 'c1 EXITED (end)'],
  },
  {
    name: 'wait for event: it does not happen in time',
    journeys: [journey(BUY)],
    happenings: [signUp(), { at: 'P7D', wait: true }, order('P8D')],
    expected: [
      'c1 ENROLLED',
      'c1 REACHED b',
      'c1 REACHED m (b: timed_out)',
      'c1 SEND m t_m',
      'c1 REACHED end',
      'c1 EXITED (end)',
    ],
  },
  {
    name: 'an event that came late by more than three days moves nobody',
    journeys: [journey(BUY)],
    happenings: [
      { event: 'Signed Up', age: 'P4D' },
      { event: 'Signed Up', age: 'P2D' },
      { at: 'P5D', event: 'Order Completed', amount: 99, age: 'P4D' },
    ],
    expected: ['c1 ENROLLED', 'c1 REACHED b'],
  },
  {
    name: 'branch: segments now, properties of the trigger, else',
    journeys: [
      journey([
        '{id: b, branch: {ways: [{id: buyer, conditions: [{in_segment: buyers}, {not_in_segment: staff}], next: e1}, {id: big, conditions: [{trigger: {property: plan.size, op: gt, value: 3}}], next: e2}], otherwise: e3}}',
        '{id: e1, exit: {reason: one}}',
        '{id: e2, exit: {reason: two}}',
        '{id: e3, exit: {reason: three}}',
      ]),
    ],
    happenings: [
      { who: 'c1', enters: 'buyers' },
      { who: 'c1', event: 'Signed Up', props: { plan: { size: 9 } } },
      { who: 'c2', enters: 'buyers' },
      { who: 'c2', enters: 'staff' },
      { who: 'c2', event: 'Signed Up', props: { plan: { size: 4 } } },
      { who: 'c3', enters: 'buyers' },
      { who: 'c3', leaves: 'buyers' },
      { who: 'c3', event: 'Signed Up', props: { plan: { size: '9' } } },
    ],
    expected: [
      'c1 ENROLLED',
      'c1 REACHED b >buyer (in buyers, not in staff)',
      'c1 REACHED e1',
      'c1 EXITED (one)',
      'c2 ENROLLED',
      'c2 REACHED b >big (plan.size was 4)',
      'c2 REACHED e2',
      'c2 EXITED (two)',
      'c3 ENROLLED',
      'c3 REACHED b >otherwise',
      'c3 REACHED e3',
      'c3 EXITED (three)',
    ],
  },
  {
    name: 'split: an arm that gets a message',
    journeys: [journey(AB(0, 1, 0))],
    happenings: [signUp()],
    expected: [
      'c1 ENROLLED',
      'c1 REACHED s >b',
      'c1 EXPOSURE exp=b',
      'c1 REACHED mb',
      'c1 SEND mb t_mb',
      'c1 REACHED end',
      'c1 EXITED (end)',
    ],
  },
  {
    name: 'split: the hold-out is exposed as well, and gets nothing',
    journeys: [journey(AB(0, 0, 1))],
    happenings: [signUp()],
    expected: [
      'c1 ENROLLED',
      'c1 REACHED s >none',
      'c1 EXPOSURE exp=none held out',
      'c1 REACHED end',
      'c1 EXITED (end)',
    ],
  },
  {
    name: 'split: the arm stays when weights change and the customer comes again',
    journeys: [journey(AB(0, 1, 0), `${onSignUp}, reentry: {rule: always}`)],
    happenings: [
      signUp(),
      { edit: journey(AB(1, 0, 0), `${onSignUp}, reentry: {rule: always}`) },
      signUp('P1D'),
      signUp('P1D', 'c2'),
    ],
    expected: [
      'c1 ENROLLED',
      'c1 REACHED s >b',
      'c1 EXPOSURE exp=b',
      'c1 REACHED mb',
      'c1 SEND mb t_mb',
      'c1 REACHED end',
      'c1 EXITED (end)',
      'c1 ENROLLED',
      'c1 REACHED s >b',
      'c1 EXPOSURE exp=b',
      'c1 REACHED mb',
      'c1 SEND mb t_mb',
      'c1 REACHED end',
      'c1 EXITED (end)',
      'c2 ENROLLED',
      'c2 REACHED s >a',
      'c2 EXPOSURE exp=a',
      'c2 REACHED ma',
      'c2 SEND ma t_ma',
      'c2 REACHED end',
      'c2 EXITED (end)',
    ],
  },
  {
    name: 'hold-out of the whole journey: refused, exposed, not let in by a second try',
    journeys: [journey(WAIT, `${onSignUp}, hold_out_percent: 100`)],
    happenings: [signUp(), signUp('P1D'), order('P1D')],
    expected: [
      'c1 EXPOSURE j.hold_out=hold_out held out',
      'c1 REFUSED >hold_out (hold_out)',
      'c1 REFUSED (reentry_never)',
    ],
  },
  {
    name: 'triggers: segment entered',
    journeys: [journey(WAIT, 'trigger: {segment_entered: lapsed}')],
    happenings: [{ leaves: 'lapsed' }, { enters: 'other' }, { enters: 'lapsed' }],
    expected: ['c1 ENROLLED', 'c1 REACHED w'],
  },
  {
    name: 'triggers: segment exited',
    journeys: [journey(WAIT, 'trigger: {segment_exited: vip}')],
    happenings: [{ enters: 'vip' }, { leaves: 'vip' }],
    expected: ['c1 ENROLLED', 'c1 REACHED w'],
  },
  {
    name: 'triggers: class changed, from any to one',
    journeys: [journey(WAIT, 'trigger: {class_changed: {dimension: lifecycle, to: at_risk}}')],
    happenings: [
      { class: ['rfm', '', 'at_risk'] },
      { class: ['lifecycle', 'active', 'loyal'] },
      { class: ['lifecycle', 'loyal', 'at_risk'] },
    ],
    expected: ['c1 ENROLLED', 'c1 REACHED w'],
  },
  {
    name: 'triggers: filtered event, and page views under their own name',
    journeys: [
      journey(WAIT, 'trigger: {event: {name: page, where: [{property: name, op: in, value: [Pricing, Plans]}]}}'),
    ],
    happenings: [
      { event: 'page' },
      { event: 'Home', type: EventType.EVENT_TYPE_PAGE },
      { event: 'Plans', type: EventType.EVENT_TYPE_PAGE },
    ],
    expected: ['c1 ENROLLED', 'c1 REACHED w'],
  },
  {
    name: 're-entry never, and one enrolment at a time',
    journeys: [journey(WAIT)],
    happenings: [signUp(), signUp('P1D'), { at: 'P4D', wait: true }, signUp('P300D')],
    expected: [
      'c1 ENROLLED',
      'c1 REACHED w',
      'c1 REFUSED (already_in)',
      'c1 REACHED m',
      'c1 SEND m t_m',
      'c1 REACHED end',
      'c1 EXITED (end)',
      'c1 REFUSED (reentry_never)',
    ],
  },
  {
    name: 're-entry after days',
    journeys: [journey([message('m', 'end')], `${onSignUp}, reentry: {rule: after, days: 30}`)],
    happenings: [signUp(), signUp('P29D'), signUp('P30D')],
    expected: [
      'c1 ENROLLED',
      'c1 REACHED m',
      'c1 SEND m t_m',
      'c1 REACHED end',
      'c1 EXITED (end)',
      'c1 REFUSED (reentry_after_30_days)',
      'c1 ENROLLED',
      'c1 REACHED m',
      'c1 SEND m t_m',
      'c1 REACHED end',
      'c1 EXITED (end)',
    ],
  },
  {
    name: 'goal ends the enrolment',
    journeys: [journey(WAIT, `${onSignUp}, goal: {event: {name: Order Completed}, within: P2D}`)],
    happenings: [signUp(), order('P2D'), order('P2D'), { at: 'P9D', wait: true }],
    expected: ['c1 ENROLLED', 'c1 REACHED w', 'c1 CONVERTED (Order Completed)', 'c1 EXITED (goal)'],
  },
  {
    name: 'goal with stay, out of its time, and after leaving',
    journeys: [journey(WAIT, `${onSignUp}, goal: {event: {name: Order Completed}, within: P5D, stay: true}`)],
    happenings: [
      signUp(),
      order('P1D'),
      order('P4D'),
      signUp('P4D', 'c2'),
      order('P8D', 'c2'),
      signUp('P9D', 'c3'),
      order('P15D', 'c3'),
    ],
    expected: [
      'c1 ENROLLED',
      'c1 REACHED w',
      'c1 CONVERTED (Order Completed)',
      'c1 REACHED m',
      'c1 SEND m t_m',
      'c1 REACHED end',
      'c1 EXITED (end)',
      'c2 ENROLLED',
      'c2 REACHED w',
      'c2 REACHED m',
      'c2 SEND m t_m',
      'c2 REACHED end',
      'c2 EXITED (end)',
      'c2 CONVERTED (Order Completed)',
      'c3 ENROLLED',
      'c3 REACHED w',
      'c3 REACHED m',
      'c3 SEND m t_m',
      'c3 REACHED end',
      'c3 EXITED (end)',
    ],
  },
  {
    name: 'exit criteria: a refund, a segment',
    journeys: [
      journey(
        WAIT,
        'trigger: {event: {name: Order Completed}}, exit_when: [{event: {name: Order Refunded}}, {segment_entered: blocked}, {segment_exited: buyers}]',
      ),
    ],
    happenings: [
      order(''),
      { at: 'P1D', event: 'Order Refunded', amount: 100 },
      { at: 'P9D', wait: true },
      order('P9D', 'c2'),
      { who: 'c2', enters: 'blocked' },
      order('P9D', 'c3'),
      { who: 'c3', enters: 'buyers' },
      { who: 'c3', leaves: 'buyers' },
    ],
    expected: [
      'c1 ENROLLED',
      'c1 REACHED w',
      'c1 EXITED (exit_event: Order Refunded)',
      'c2 ENROLLED',
      'c2 REACHED w',
      'c2 EXITED (entered_segment: blocked)',
      'c3 ENROLLED',
      'c3 REACHED w',
      'c3 EXITED (exited_segment: buyers)',
    ],
  },
  {
    name: 'a loop through a wait: the message goes out once, and it ends',
    journeys: [
      journey([
        message('m', 'w'),
        '{id: w, wait: {duration: P1D, next: b}}',
        '{id: b, branch: {ways: [{id: bought, conditions: [{in_segment: buyers}], next: end}], otherwise: m}}',
      ]),
    ],
    happenings: [signUp(), { at: 'P2D', wait: true }, { at: 'P2DT1H', enters: 'buyers' }, { at: 'P9D', wait: true }],
    expected: [
      'c1 ENROLLED',
      'c1 REACHED m',
      'c1 SEND m t_m',
      'c1 REACHED w',
      'c1 REACHED b >otherwise',
      'c1 REACHED m (already_sent)',
      'c1 REACHED w',
      'c1 REACHED b >otherwise',
      'c1 REACHED m (already_sent)',
      'c1 REACHED w',
      'c1 REACHED b >bought (in buyers)',
      'c1 REACHED end',
      'c1 EXITED (end)',
    ],
  },
  {
    name: 'pause: nobody enters, timers wait; resume: on at once',
    journeys: [journey(WAIT)],
    happenings: [
      signUp(),
      { at: 'P1D', move: 'pause' },
      signUp('P1D', 'c2'),
      { at: 'P9D', wait: true },
      { at: 'P10D', move: 'resume' },
      signUp('P10D', 'c2'),
    ],
    expected: [
      'c1 ENROLLED',
      'c1 REACHED w',
      'c2 REFUSED (journey_paused)',
      'c1 REACHED m',
      'c1 SEND m t_m',
      'c1 REACHED end',
      'c1 EXITED (end)',
      'c2 ENROLLED',
      'c2 REACHED w',
    ],
  },
  {
    name: 'pause: what was waited for counts when it happens meanwhile',
    journeys: [journey(BUY)],
    happenings: [signUp(), { move: 'pause' }, order('P1D'), { at: 'P20D', wait: true }, { at: 'P20D', move: 'resume' }],
    expected: ['c1 ENROLLED', 'c1 REACHED b', 'c1 REACHED end (b: happened)', 'c1 EXITED (end)'],
  },
  {
    name: 'pause shorter than the wait changes nothing',
    journeys: [journey(WAIT)],
    happenings: [
      signUp(),
      { move: 'pause' },
      { at: 'P1D', move: 'resume' },
      { at: 'P2D', wait: true },
      { at: 'P3D', wait: true },
    ],
    expected: ['c1 ENROLLED', 'c1 REACHED w', 'c1 REACHED m', 'c1 SEND m t_m', 'c1 REACHED end', 'c1 EXITED (end)'],
  },
  {
    name: 'stop: everybody leaves; started again: whoever was in stays out by the re-entry rule',
    journeys: [journey(WAIT)],
    happenings: [
      signUp('', 'c1'),
      signUp('', 'c2'),
      { at: 'P1D', move: 'stop' },
      signUp('P1D', 'c3'),
      { at: 'P2D', move: 'start' },
      signUp('P2D'),
      signUp('P2D', 'c3'),
    ],
    expected: [
      'c1 ENROLLED',
      'c1 REACHED w',
      'c2 ENROLLED',
      'c2 REACHED w',
      'c1 EXITED (journey_stopped)',
      'c2 EXITED (journey_stopped)',
      'c1 REFUSED (reentry_never)',
      'c3 ENROLLED',
      'c3 REACHED w',
    ],
  },
  {
    name: 'deleted: everybody leaves and is forgotten',
    journeys: [journey(WAIT)],
    happenings: [signUp(), { at: 'P1D', delete: 'j' }, signUp('P2D'), { at: 'P9D', wait: true }],
    expected: ['c1 ENROLLED', 'c1 REACHED w', 'c1 EXITED (journey_deleted)'],
  },
  {
    name: 'a new version: people under way stay on theirs',
    journeys: [journey(WAIT)],
    happenings: [
      signUp(),
      { at: 'P1D', edit: journey(['{id: w, wait: {duration: P1D, next: new}}', message('new', 'end')]) },
      signUp('P1D', 'c2'),
      { at: 'P2D', wait: true },
      { at: 'P3D', wait: true },
    ],
    expected: [
      'c1 ENROLLED',
      'c1 REACHED w',
      'c2 ENROLLED',
      'c2 REACHED w',
      'c2 REACHED new',
      'c2 SEND new t_new',
      'c2 REACHED end',
      'c2 EXITED (end)',
      'c1 REACHED m',
      'c1 SEND m t_m',
      'c1 REACHED end',
      'c1 EXITED (end)',
    ],
  },
  {
    name: 'merge: the survivor goes on with the enrolment of the other',
    journeys: [journey(WAIT)],
    happenings: [
      signUp('', 'c2'),
      { at: 'P1D', who: 'c2', mergedInto: 'c1' },
      signUp('P2D', 'c1'),
      { at: 'P3D', wait: true },
    ],
    expected: [
      'c2 ENROLLED',
      'c2 REACHED w',
      'c1 REFUSED (already_in)',
      'c1 REACHED m',
      'c1 SEND m t_m',
      'c1 REACHED end',
      'c1 EXITED (end)',
    ],
  },
  {
    name: 'merge: of two the further one stays, and what the other was sent is not sent again',
    journeys: [
      journey([
        '{id: b, branch: {ways: [{id: quick, conditions: [{trigger: {property: quick, op: exists}}], next: m}], otherwise: w1}}',
        '{id: w1, wait: {duration: P1D, next: w2}}',
        '{id: w2, wait: {duration: P1D, next: w3}}',
        '{id: w3, wait: {duration: P5D, next: m}}',
        message('m', 'w4'),
        '{id: w4, wait: {duration: P9D, next: end}}',
      ]),
    ],
    happenings: [
      signUp('', 'c1'),
      { at: 'P4D', who: 'c2', event: 'Signed Up', props: { quick: true } },
      { at: 'P5D', who: 'c2', mergedInto: 'c1' },
      { at: 'P30D', wait: true },
    ],
    expected: [
      'c1 ENROLLED',
      'c1 REACHED b >otherwise',
      'c1 REACHED w1',
      'c1 REACHED w2',
      'c1 REACHED w3',
      'c2 ENROLLED',
      'c2 REACHED b >quick (quick was true)',
      'c2 REACHED m',
      'c2 SEND m t_m',
      'c2 REACHED w4',
      'c1 EXITED (merged)',
      'c1 REACHED m (already_sent)',
      'c1 REACHED w4',
      'c1 REACHED end',
      'c1 EXITED (end)',
    ],
  },
  {
    name: 'unmerge: each goes on in its own enrolment, also in the one the merge ended',
    journeys: [journey(WAIT)],
    happenings: [
      signUp('', 'c2'),
      signUp('P1D', 'c1'),
      { at: 'P1DT1H', who: 'c2', mergedInto: 'c1' },
      { at: 'P1DT2H', who: 'c2', unmergedFrom: 'c1', own: [0] },
      { at: 'P10D', wait: true },
    ],
    expected: [
      'c2 ENROLLED',
      'c2 REACHED w',
      'c1 ENROLLED',
      'c1 REACHED w',
      'c1 EXITED (merged)',
      'c1 GIVES 1 TO c2',
      'c2 REACHED m',
      'c2 SEND m t_m',
      'c2 REACHED end',
      'c2 EXITED (end)',
      'c1 REACHED m',
      'c1 SEND m t_m',
      'c1 REACHED end',
      'c1 EXITED (end)',
    ],
  },
  {
    name: 'unmerge: who entered while merged goes with the one whose event it was; nothing is sent twice',
    journeys: [journey(WAIT)],
    happenings: [
      { at: '', who: 'c2', mergedInto: 'c1' },
      signUp('', 'c1'),
      { at: 'P3D', wait: true },
      { at: 'P4D', who: 'c2', unmergedFrom: 'c1', own: [0] },
      signUp('P5D', 'c2'),
      signUp('P5D', 'c1'),
      { at: 'P10D', wait: true },
    ],
    expected: [
      'c1 ENROLLED',
      'c1 REACHED w',
      'c1 REACHED m',
      'c1 SEND m t_m',
      'c1 REACHED end',
      'c1 EXITED (end)',
      'c1 GIVES 1 TO c2',
      'c2 REFUSED (reentry_never)',
      'c1 ENROLLED',
      'c1 REACHED w',
      'c1 REACHED m',
      'c1 SEND m t_m',
      'c1 REACHED end',
      'c1 EXITED (end)',
    ],
  },
  {
    name: 'merge: the further enrolment of the other takes the place of one just begun',
    journeys: [
      journey([
        '{id: w1, wait: {duration: P1D, next: w2}}',
        '{id: w2, wait: {duration: P5D, next: m}}',
        message('m', 'end'),
      ]),
    ],
    happenings: [
      signUp('', 'c2'),
      signUp('P2D', 'c1'),
      { at: 'P2D', who: 'c2', mergedInto: 'c1' },
      { at: 'P30D', wait: true },
    ],
    expected: [
      'c2 ENROLLED',
      'c2 REACHED w1',
      'c2 REACHED w2',
      'c1 ENROLLED',
      'c1 REACHED w1',
      'c1 EXITED (merged)',
      'c1 REACHED m',
      'c1 SEND m t_m',
      'c1 REACHED end',
      'c1 EXITED (end)',
    ],
  },
  {
    name: 'merge: who has been through it as somebody else does not go through it again',
    journeys: [journey(WAIT)],
    happenings: [
      signUp('', 'c2'),
      { at: 'P4D', wait: true },
      signUp('P4D', 'c1'),
      { at: 'P5D', who: 'c2', mergedInto: 'c1' },
      { at: 'P30D', wait: true },
    ],
    expected: [
      'c2 ENROLLED',
      'c2 REACHED w',
      'c2 REACHED m',
      'c2 SEND m t_m',
      'c2 REACHED end',
      'c2 EXITED (end)',
      'c1 ENROLLED',
      'c1 REACHED w',
      'c1 EXITED (merged)',
    ],
  },
  {
    name: 'merge: who has been through it does not go through it again as somebody else',
    journeys: [journey(WAIT)],
    happenings: [
      signUp('', 'c1'),
      { at: 'P4D', wait: true },
      signUp('P4D', 'c2'),
      { at: 'P5D', who: 'c2', mergedInto: 'c1' },
      { at: 'P30D', wait: true },
    ],
    expected: [
      'c1 ENROLLED',
      'c1 REACHED w',
      'c1 REACHED m',
      'c1 SEND m t_m',
      'c1 REACHED end',
      'c1 EXITED (end)',
      'c2 ENROLLED',
      'c2 REACHED w',
      'c1 EXITED (merged)',
    ],
  },
  {
    name: 'merge: both entries stay possible where the re-entry rule allows them',
    journeys: [journey(WAIT, `${onSignUp}, reentry: {rule: after, days: 3}`)],
    happenings: [
      signUp('', 'c1'),
      { at: 'P4D', wait: true },
      signUp('P4D', 'c2'),
      { at: 'P5D', who: 'c2', mergedInto: 'c1' },
      { at: 'P30D', wait: true },
    ],
    expected: [
      'c1 ENROLLED',
      'c1 REACHED w',
      'c1 REACHED m',
      'c1 SEND m t_m',
      'c1 REACHED end',
      'c1 EXITED (end)',
      'c2 ENROLLED',
      'c2 REACHED w',
      'c1 REACHED m',
      'c1 SEND m t_m',
      'c1 REACHED end',
      'c1 EXITED (end)',
    ],
  },
  {
    name: 'merge: the arm goes along, also that of the hold-out',
    journeys: [journey(AB(0, 0, 1), `${onSignUp}, reentry: {rule: always}`)],
    happenings: [
      signUp('', 'c2'),
      { who: 'c2', mergedInto: 'c1' },
      { edit: journey(AB(1, 1, 1e-9), `${onSignUp}, reentry: {rule: always}`) },
      signUp('P1D', 'c1'),
    ],
    expected: [
      'c2 ENROLLED',
      'c2 REACHED s >none',
      'c2 EXPOSURE exp=none held out',
      'c2 REACHED end',
      'c2 EXITED (end)',
      'c1 ENROLLED',
      'c1 REACHED s >none',
      'c1 EXPOSURE exp=none held out',
      'c1 REACHED end',
      'c1 EXITED (end)',
    ],
  },
  {
    name: 'merge into somebody while the journey is paused: goes on after resume',
    journeys: [journey(WAIT)],
    happenings: [
      signUp('', 'c2'),
      { move: 'pause' },
      { at: 'P4D', who: 'c2', mergedInto: 'c1' },
      { at: 'P5D', move: 'resume' },
    ],
    expected: ['c2 ENROLLED', 'c2 REACHED w', 'c1 REACHED m', 'c1 SEND m t_m', 'c1 REACHED end', 'c1 EXITED (end)'],
  },
];

describe('journeys', () => {
  it.each(scenarios)('$name', ({ journeys, happenings, expected }) => {
    const world = new World();
    for (const text of journeys) world.add(text);
    expect(world.play(happenings)).toEqual(expected);
    expect(world.harness.deadLetters).toEqual([]);
  });

  it('remembers nothing of a customer no journey cares for', () => {
    const world = new World().add(journey(WAIT));
    world.play([{ event: 'Product Viewed' }, { event: 'Order Completed', amount: 3 }]);
    expect(world.harness.state('c1')).toBeUndefined();
  });

  it('gives messages what let the customer in, and the arm', () => {
    const world = new World().add(journey(AB(1, 0, 0)));
    world.happen({ event: 'Signed Up', props: { plan: 'gold', 'first.touch': 'ads' }, amount: 15.3 });
    const { request } = world.sends[0]!;
    const properties = {
      plan: 'gold',
      'first.touch': 'ads',
      source: 'web',
      order_id: 'o1',
      currency: 'CNY',
      amount: 15.3,
    };
    expect(JSON.parse(request.variablesJson.toString())).toEqual({ event: 'Signed Up', properties, variant: 'a' });
    expect(request).toMatchObject({
      journeyId: 'j',
      version: 1,
      nodeId: 'ma',
      channel: 'email',
      purpose: 'marketing',
      variant: 'a',
    });
  });

  it('keeps at most 2 KB of the trigger, first what its conditions need', () => {
    const branch =
      '{id: b, branch: {ways: [{id: y, conditions: [{trigger: {property: needed, op: eq, value: 7}}], next: m}], otherwise: end}}';
    const world = new World().add(journey(['{id: w, wait: {duration: P1D, next: b}}', branch, message('m', 'end')]));
    const filler = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`p${i}`, 'x'.repeat(20)]));
    world.happen({ event: 'Signed Up', props: { ...filler, needed: 7 } });
    expect(world.harness.state('c1')!.enrolments[0]!.triggerJson.length).toBeLessThanOrEqual(2048);
    expect(world.happen({ at: 'P1D', wait: true })).toContain('c1 SEND m t_m');
  });

  it('gives a step its key by enrolment and node, the same in every run', () => {
    const keys = [1, 2].map(() => {
      const world = new World().add(journey(WAIT));
      world.play([signUp(), { at: 'P3D', wait: true }]);
      return world.sends.map(({ request }) => request.idempotencyKey);
    });
    expect(keys[0]).toHaveLength(1);
    expect(keys[0]).toEqual(keys[1]);
  });

  it('ends an enrolment after 100 nodes', () => {
    const loop = [
      '{id: w, wait: {duration: PT1H, next: b}}',
      '{id: b, branch: {ways: [{id: y, conditions: [{in_segment: never}], next: end}], otherwise: w}}',
    ];
    const world = new World().add(journey(loop));
    const lines = world.play([signUp(), { at: 'P30D', wait: true }]);
    expect(lines.filter((line) => line.includes('REACHED'))).toHaveLength(100);
    expect(lines.at(-1)).toBe('c1 EXITED (step_limit)');
  });

  it('takes its timer along when a wait ends early or the customer leaves', () => {
    const world = new World()
      .add(journey(BUY))
      .add(journey(WAIT, `${onSignUp}, exit_when: [{segment_entered: out}]`).replace('id: j', 'id: k'));
    world.happen(signUp());
    expect([...world.harness.timers.values()].sort()).toEqual([T0 + 3 * 86_400_000, T0 + 7 * 86_400_000]);
    world.play([order('P1D'), { enters: 'out' }]);
    expect(world.harness.timers.size).toBe(0);
  });

  it('who is on a version no longer kept leaves', () => {
    const world = new World().add(journey(WAIT));
    const edits = Array.from(
      { length: 20 },
      (_, i): Happening => ({ edit: journey([WAIT[0]!.replace('P3D', `PT${i + 1}H`), WAIT[1]!]) }),
    );
    const lines = world.play([signUp(), ...edits.slice(0, 19), { wait: true }]);
    expect(lines).toEqual(['c1 ENROLLED', 'c1 REACHED w']);
    expect(world.happen(edits[19]!)).toEqual(['c1 EXITED (version_retired)']);
  });

  it('journeys one event concerns come in the order of their ids, and do not disturb each other', () => {
    const named = (id: string) => journey(WAIT).replace('id: j', `id: ${id}`);
    const world = new World().add(named('zz')).add(named('aa'));
    world.happen(signUp());
    expect(world.steps.map(({ step }) => step.journeyId)).toEqual(['aa', 'aa', 'zz', 'zz']);
    expect(
      world.play([
        { move: 'stop', journey: 'zz' },
        { at: 'P3D', wait: true },
      ]),
    ).toEqual(['c1 EXITED (journey_stopped)', 'c1 REACHED m', 'c1 SEND m t_m', 'c1 REACHED end', 'c1 EXITED (end)']);
  });

  it('a definition that cannot be read leaves only its own journey out', () => {
    const world = new World().add(journey(WAIT));
    world.harness.define(
      { kind: 'journey', id: 'bad', revision: 99, deleted: false, body: Buffer.from([0x0a, 0x7f]) },
      T0,
    );
    expect(world.happen(signUp())).toEqual(['c1 ENROLLED', 'c1 REACHED w']);
  });

  it('an event that cannot be decoded is a dead letter and moves nobody', () => {
    const world = new World().add(journey(WAIT));
    const body = Buffer.concat([encodeEvent({ event: 'Signed Up' }, T0), Buffer.from([0x4a, 0x7f])]);
    expect(world.harness.input('c1', RecordKind.RECORD_KIND_EVENT, body, T0)).toEqual([]);
    expect(world.harness.deadLetters).toHaveLength(1);
  });
});

describe('the universal hold-out', () => {
  const settings = HoldOutSettings.fromPartial({ percent: 50, salt: '2026', startTimeMs: T0 + 86_400_000 });
  const ids = Array.from({ length: 40 }, (_, i) => `c${i}`);
  const held = ids.find((id) => isHeldOut(settings, id))!;
  const treated = ids.find((id) => !isHeldOut(settings, id))!;
  const two = [
    message('m', 'n'),
    message('n', 'r'),
    '{id: r, message: {channel: email, template_id: t_r, purpose: transactional, next: end}}',
  ];
  const again = `${onSignUp}, reentry: {rule: always}`;
  const start = () => {
    const world = new World().add(journey(two, again));
    const body = HoldOutSettings.encode(settings).finish();
    world.harness.define({ kind: 'hold_out', id: 'default', revision: 9, deleted: false, body }, T0);
    return world;
  };
  const told = (world: World, happening: Happening) =>
    world.happen(happening).filter((line) => /SEND|EXPOSURE|universal/.test(line));

  it('gets no marketing from its start on, but what is transactional; both sides are exposed once', () => {
    const world = start();
    const all = (who: string) => [`${who} SEND m t_m`, `${who} SEND n t_n`, `${who} SEND r t_r`];
    expect(told(world, signUp('PT1H', held))).toEqual(all(held));
    expect(told(world, signUp('P1D', held))).toEqual([
      `${held} REACHED m (universal_hold_out)`,
      `${held} EXPOSURE universal_hold_out=hold_out held out`,
      `${held} REACHED n (universal_hold_out)`,
      `${held} SEND r t_r`,
    ]);
    expect(told(world, signUp('P2D', treated))).toEqual([
      `${treated} EXPOSURE universal_hold_out=treated`,
      ...all(treated),
    ]);
    expect(told(world, signUp('P3D', treated))).toEqual(all(treated));
    expect(world.exposures.map(({ exposure }) => exposure.nodeId)).toEqual(['m', 'm']);
  });

  it('stays with the older customer in a merge, whoever the other was', () => {
    const world = start();
    world.play([signUp('P1D', held), signUp('P1D', treated), { at: 'P2D', who: treated, mergedInto: held }]);
    expect(told(world, signUp('P3D', held))).toEqual([
      `${held} REACHED m (universal_hold_out)`,
      `${held} REACHED n (universal_hold_out)`,
      `${held} SEND r t_r`,
    ]);
  });
});
