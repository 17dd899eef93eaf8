import { describe, expect, it } from 'vitest';
import { readJourney } from './read.ts';
import { validateJourney } from './validate.ts';

function violationsOf(text: string): string[] {
  const { journey, violations } = readJourney(text);
  if (journey) validateJourney(journey, '', violations);
  return violations.found.map(({ field, description }) => `${field}: ${description}`);
}

const GOOD = `
id: welcome
name: Welcome
definition:
  trigger: { event: { name: Signed Up, where: [{ property: plan, op: eq, value: gold }] } }
  start: ab
  reentry: { rule: after, days: 30 }
  hold_out_percent: 10
  goal: { event: { name: Order Completed }, within: P30D }
  exit_when: [{ segment_entered: blocked }]
  nodes:
    - id: ab
      split:
        variants: [{ id: a, weight: 1, next: hello }, { id: none, weight: 1, next: end, hold_out: true }]
    - { id: hello, message: { channel: email, template_id: hello, purpose: marketing, next: pause } }
    - { id: pause, wait: { duration: 90000, until_local_time: "10:00", next: bought } }
    - id: bought
      branch: { ways: [{ id: yes, conditions: [{ in_segment: buyers }], next: end }], otherwise: listen }
    - id: listen
      wait_for_event: { event: { name: Order Completed }, timeout: PT36H, happened: end, timed_out: hello }
    - { id: end, exit: {} }
`;

/** What is changed in the good one, and what is said about it. */
const table: [change: [from: string, to: string], expected: string[]][] = [
  [
    ['id: welcome', 'id: Welcome!'],
    ['id: must be a lower-case letter, then up to 62 lower-case letters, digits, "_" or "-"'],
  ],
  [
    ['name: Welcome', 'nmae: Welcome'],
    [
      'nmae: is unknown; known here: id, name, description, definition, status, version, revision, create_time_ms, update_time_ms',
    ],
  ],
  [['name: Welcome', 'name: 5'], ['name: must be a string']],
  [['name: Welcome', 'name: a\nname: b'], ['text: Map keys must be unique at line 4, column 1:']],
  [['start: ab', 'start: nowhere'], ['definition.start: there is no node "nowhere"']],
  [['  start: ab\n', ''], ['definition.start: is missing: name the first node']],
  [['next: pause', 'next: paus'], ['definition.nodes[1].message.next: there is no node "paus"']],
  [['next: pause', 'next: ""'], ['definition.nodes[1].message.next: is missing: every way out names the next node']],
  [
    ['happened: end, timed_out: hello', 'happened: end'],
    ['definition.nodes[4].wait_for_event.timed_out: is missing: every way out names the next node'],
  ],
  [['otherwise: listen', 'otherwise: end'], ['definition.nodes[4]: "listen" is not reachable from start']],
  [
    ['next: pause }', 'next: hello }'],
    [
      'definition.nodes[2]: "pause" is not reachable from start',
      'definition.nodes[3]: "bought" is not reachable from start',
      'definition.nodes[4]: "listen" is not reachable from start',
      'definition.nodes[1].message.next: closes a cycle through "hello" that contains no wait',
    ],
  ],
  [
    ['next: end, hold_out: true', 'next: hello, hold_out: true'],
    ['definition.nodes[0].split.variants[1].next: is the hold-out arm and must not lead to the message "hello"'],
  ],
  [
    ['weight: 1, next: hello }, { id: none, weight: 1', 'weight: 0, next: hello }, { id: none, weight: 0'],
    ['definition.nodes[0].split.variants: must have weights whose sum is greater than 0'],
  ],
  [
    ['weight: 1, next: hello', 'weight: -1, next: hello'],
    ['definition.nodes[0].split.variants[0].weight: must be from 0 to 1e9'],
  ],
  [
    ['id: a, weight: 1, next: hello }', 'id: none, weight: 1, next: hello, hold_out: true }'],
    [
      'definition.nodes[0].split.variants[1].id: "none" stands for another one already',
      'definition.nodes[0].split.variants: must have at most one hold_out arm',
      'definition.nodes[0].split.variants[0].next: is the hold-out arm and must not lead to the message "hello"',
    ],
  ],
  [
    ['duration: 90000', 'duration: P3M'],
    [
      'definition.nodes[2].wait.duration: "P3M" is no duration: use weeks to seconds as in "P3D" or "PT2H30M" (no months or years), or milliseconds',
    ],
  ],
  [['duration: 90000', 'duration: P401D'], ['definition.nodes[2].wait.duration: must be at most 400 days']],
  [['duration: 90000', 'duration: PT0S'], ['definition.nodes[2].wait.duration: must be longer than 0']],
  [
    ['duration: 90000', 'duration: 1.5'],
    [
      'definition.nodes[2].wait.duration: "1.5" is no duration: use weeks to seconds as in "P3D" or "PT2H30M" (no months or years), or milliseconds',
    ],
  ],
  [['"10:00"', '"24:00"'], ['definition.nodes[2].wait.until_local_time: must be a time of day such as "10:00"']],
  [
    ['duration: 90000, until_local_time: "10:00", ', ''],
    ['definition.nodes[2].wait: needs a duration, until_local_time, until_open or until_date'],
  ],
  [['timeout: PT36H, ', ''], ['definition.nodes[4].wait_for_event.timeout: is missing: give a duration such as "P3D"']],
  [
    ['{ name: Order Completed }, timeout', '{ name: "" }, timeout'],
    ['definition.nodes[4].wait_for_event.event.name: must be an event name of 1 to 200 characters'],
  ],
  [
    ['op: eq, value: gold', 'op: eq, trigger_property: plan'],
    ['definition.trigger.event.where[0].trigger_property: may stand only in events of exit_when and wait_for_event'],
  ],
  [
    [
      'segment_entered: blocked',
      'event: { name: R, where: [{ property: a, op: exists, trigger_property: b, value: 1 }] }',
    ],
    [
      'definition.exit_when[0].event.where[0].value: must be absent beside trigger_property',
      'definition.exit_when[0].event.where[0].op: must be one of eq, ne, gt, gte, lt, lte, contains, in beside trigger_property',
    ],
  ],
  [
    ['timed_out: hello }', 'timed_out: hello, ways: [{ id: timed_out, event: { name: X }, next: nowhere }] }'],
    [
      'definition.nodes[4].wait_for_event.ways[0].id: must be a letter or digit, then up to 62 letters, digits, "_" or "-", and not "happened" or "timed_out"',
      'definition.nodes[4].wait_for_event.ways[0].next: there is no node "nowhere"',
    ],
  ],
  [
    ['channel: email', 'channel: fax'],
    [
      'definition.nodes[1].message.channel: must be one of email, sms, webhook, wechat_template, wechat_subscribe, wechat_mini, wecom, fcm, apns, web_push',
    ],
  ],
  [
    ['purpose: marketing', 'purpose: fun'],
    ['definition.nodes[1].message.purpose: must be one of marketing, transactional'],
  ],
  [
    ['template_id: hello', 'template_id: ""'],
    ['definition.nodes[1].message.template_id: must be the id of a template'],
  ],
  [
    ['op: eq, value: gold', 'op: gt, value: gold'],
    ['definition.trigger.event.where[0].value: must be a number for this op'],
  ],
  [
    ['op: eq, value: gold', 'op: like, value: gold'],
    ['definition.trigger.event.where[0].op: must be one of eq, ne, gt, gte, lt, lte, contains, in, exists, not_exists'],
  ],
  [
    ['op: eq, value: gold', 'value: gold'],
    ['definition.trigger.event.where[0].op: must be one of eq, ne, gt, gte, lt, lte, contains, in, exists, not_exists'],
  ],
  [
    ['op: eq, value: gold', 'op: eq, value: { a: 1 }'],
    ['definition.trigger.event.where[0].value: must be a string of at most 200 characters, a number or a boolean'],
  ],
  [
    ['op: eq, value: gold', 'op: exists, value: 1'],
    ['definition.trigger.event.where[0].value: must be absent for this op'],
  ],
  [
    ['trigger: {', 'trigger: { segment_entered: vip, '],
    ['definition.trigger: has event and segment_entered: only one may stand here'],
  ],
  [['rule: after, days: 30', 'rule: after'], ['definition.reentry.days: must be from 1 to 400 for rule after']],
  [['rule: after, days: 30', 'rule: never, days: 30'], ['definition.reentry.days: may stand only with rule after']],
  [['rule: after, days: 30', 'rule: sometimes'], ['definition.reentry.rule: must be one of never, always, after']],
  [['hold_out_percent: 10', 'hold_out_percent: 101'], ['definition.hold_out_percent: must be from 0 to 100']],
  [
    ['within: P30D', 'within: soon'],
    [
      'definition.goal.within: "soon" is no duration: use weeks to seconds as in "P3D" or "PT2H30M" (no months or years), or milliseconds',
    ],
  ],
  [
    ['segment_entered: blocked', 'segment_entered: ""'],
    ['definition.exit_when[0].segment_entered: must be the id of a segment'],
  ],
  [
    ['- { id: end, exit: {} }', '- { id: end }'],
    [
      'definition.nodes[5]: does nothing: give it one of wait, wait_for_event, branch, split, message, webhook, update_traits, emit_event, exit',
    ],
  ],
  [
    [
      '- { id: end, exit: {} }',
      '- { id: end, update_traits: { traits: { $a: 1, first_name: x, b: { c: 1 } }, next: nowhere } }',
    ],
    [
      'definition.nodes[5].update_traits.traits.$a: must have a name of 1 to 100 characters that does not begin with "$"',
      'definition.nodes[5].update_traits.traits.first_name: holds personal data, which journeys cannot set',
      'definition.nodes[5].update_traits.traits.b: must be a string, number, boolean, a list of them, or null',
      'definition.nodes[5].update_traits.next: there is no node "nowhere"',
    ],
  ],
  [
    [
      '- { id: end, exit: {} }',
      '- { id: end, wait: { until_open: { opens: 9, closes: "25:00" }, no_date: end, next: end } }',
    ],
    ['definition.nodes[5].wait.until_open.opens: must be a string'],
  ],
  [
    [
      '- { id: end, exit: {} }',
      '- { id: end, wait: { until_open: { opens: "9", closes: "25:00", days: [sun, pay] }, no_date: x, next: end } }',
    ],
    [
      'definition.nodes[5].wait.until_open.opens: must be a time of day such as "10:00"',
      'definition.nodes[5].wait.until_open.closes: must be a time of day such as "10:00"',
      'definition.nodes[5].wait.until_open.days: must be days of the week: mon, tue, wed, thu, fri, sat, sun',
      'definition.nodes[5].wait.no_date: may stand only with until_date',
      'definition.nodes[5].wait.no_date: there is no node "x"',
    ],
  ],
  [
    [
      '- { id: end, exit: {} }',
      '- { id: end, wait: { until_local_time: "10:00", until_date: { trait: "", offset_days: 400, at: noon, calendar: lunar, recurrence: once }, next: end } }',
    ],
    [
      'definition.nodes[5].wait: may have one of until_local_time, until_open and until_date',
      'definition.nodes[5].wait.until_date.trait: must be the name of a trait, 1 to 100 characters',
      'definition.nodes[5].wait.until_date.offset_days: must be a whole number from -366 to 366',
      'definition.nodes[5].wait.until_date.at: must be a time of day such as "10:00"',
      'definition.nodes[5].wait.until_date.calendar: may be lunar only with recurrence yearly',
    ],
  ],
  [
    ['- { id: end, exit: {} }', '- { id: end, update_traits: { traits: {}, next: end } }'],
    [
      'definition.nodes[5].update_traits.traits: must have 1 to 20 traits, with those of expressions',
      'definition.nodes[5].update_traits.next: closes a cycle through "end" that contains no wait',
    ],
  ],
  [
    ['- { id: end, exit: {} }', '- { id: end, emit_event: { name: Order Completed, properties: 3 } }'],
    [
      'definition.nodes[5].emit_event.name: must not begin with "Order ": orders are the shop\'s to tell',
      'definition.nodes[5].emit_event.next: is missing: every way out names the next node',
    ],
  ],
  [
    ['- { id: end, exit: {} }', '- { id: end, webhook: { template_id: "?", next: pause } }'],
    [
      'definition.nodes[5].webhook.template_id: must be the id of a template',
      'definition.nodes[0].split.variants[1].next: is the hold-out arm and must not lead to the webhook "end"',
      'definition.nodes[0].split.variants[1].next: is the hold-out arm and must not lead to the message "hello"',
    ],
  ],
  [
    ['[{ in_segment: buyers }]', '[{ expression: "journey.entred < now" }]'],
    ['definition.nodes[3].branch.ways[0].conditions[0].expression: character 9: No such key: entred'],
  ],
  [
    ['{ name: Signed Up, where:', '{ name: Signed Up, expression: trigger.a == 1, where:'],
    ['definition.trigger.event.expression: character 1: Unknown variable: trigger'],
  ],
  [
    ['{ name: Order Completed }, timeout', '{ name: Order Completed, expression: "event.amount +" }, timeout'],
    ['definition.nodes[4].wait_for_event.event.expression: character 15: Unexpected token: EOF'],
  ],
  [
    [
      '- { id: end, exit: {} }',
      '- { id: end, update_traits: { traits: { a: 1 }, expressions: { a: "1", email: "2", b: event.a }, next: end } }',
    ],
    [
      'definition.nodes[5].update_traits.expressions.email: holds personal data, which journeys cannot set',
      'definition.nodes[5].update_traits.expressions.a: has a value already: give one of the two',
      'definition.nodes[5].update_traits.expressions.b: character 1: Unknown variable: event',
      'definition.nodes[5].update_traits.next: closes a cycle through "end" that contains no wait',
    ],
  ],
  [
    ['- { id: end, exit: {} }', '- { id: end, emit_event: { name: A, expressions: { a: 1 }, next: pause } }'],
    ['definition.nodes[5].emit_event.expressions: must be a mapping of names to strings'],
  ],
  [
    ['- { id: end, exit: {} }', '- { id: end, exit: {} }\n    - { id: end, exit: {} }'],
    ['definition.nodes[6].id: "end" stands for another one already'],
  ],
];

describe('validation', () => {
  it('accepts a good journey', () => expect(violationsOf(GOOD)).toEqual([]));

  it.each([
    ['schedule: { cron: "0 10 * * 1", segment_id: all }', []],
    ['schedule: { festival: { name: mid_autumn, offset_days: -3, at: "10:00" }, segment_id: all }', []],
    ['date: { trait: birthday, calendar: lunar }', []],
    ['schedule: { segment_id: "" }', ['.segment_id: must be the id of a segment', ': needs cron or festival']],
    ['schedule: { cron: "*/5 * * * *", segment_id: a }', ['.cron: must come at most once an hour']],
    [
      'schedule: { cron: "0 0 10 * * 1", segment_id: a }',
      ['.cron: must be five fields as for cron, such as "0 10 * * 1"'],
    ],
    ['schedule: { cron: "0 0 30 2 *", segment_id: a }', ['.cron: must come at some time']],
    [
      'schedule: { cron: "0 0 1 1 *", festival: { name: x }, segment_id: a }',
      [': has cron and festival: only one may stand here'],
    ],
  ])('of a trigger by time: %s', (trigger, expected) => {
    const text = GOOD.replace(/trigger: \{.*\}/, `trigger: { ${trigger} }`).replace(
      /\n.*trigger: \{ property.*$/m,
      '$&',
    );
    const found = violationsOf(text).filter((line) => line.startsWith('definition.trigger'));
    expect(found).toEqual(expected.map((line) => `definition.trigger.schedule${line}`));
  });

  it.each(table)('%j', ([from, to], expected) => {
    expect(GOOD).toContain(from);
    expect(violationsOf(GOOD.replace(from, to))).toEqual(expected);
  });

  it('reads JSON as well', () => {
    const text =
      '{"id":"j","definition":{"trigger":{"segment_entered":"s"},"start":"e","nodes":[{"id":"e","exit":{}}]}}';
    expect(violationsOf(text)).toEqual([]);
  });

  it.each([
    ['aliases that multiply', `id: j\na: &a [1,1]\nb: &b [*a,*a]\ndefinition: *b`],
    ['a tag', 'id: !!js/function "() => 1"'],
    ['nothing', ''],
    ['a list', '- a'],
    ['text that is too long', `id: ${'x'.repeat(70_000)}`],
    ['a prototype', '{"__proto__": {"id": "j"}, "constructor": {}}'],
    ['depth', '['.repeat(20_000)],
  ])('refuses %s with a reason', (_, text) => {
    const found = violationsOf(text);
    expect(found.length).toBeGreaterThan(0);
  });

  it('refuses too many nodes and too large a definition', () => {
    const nodes = (count: number, reason: string) =>
      `{id: j, definition: {trigger: {segment_entered: s}, start: n0, nodes: [${Array.from({ length: count }, (_, i) => `{id: n${i}, exit: {reason: "${reason}"}}`).join(',')}]}}`;
    expect(violationsOf(nodes(201, ''))).toContain('definition.nodes: must have at most 200 items');
    expect(violationsOf(nodes(200, 'r'.repeat(200)))).toContain('definition: must be at most 32 KB encoded');
  });
});
