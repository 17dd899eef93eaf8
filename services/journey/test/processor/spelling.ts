import type { Happening } from '../scenario.ts';

/** Short spellings of journeys. */
export const message = (id: string, next: string) =>
  `{id: ${id}, message: {channel: email, template_id: t_${id}, purpose: marketing, next: ${next}}}`;
export const end = '{id: end, exit: {}}';
export const onSignUp = 'trigger: {event: {name: Signed Up}}';
/** Starts at the first node; brings the node "end" where it is named. */
export const journey = (nodes: string[], rest: string = onSignUp) => {
  const all = nodes.some((node) => /: end\b/.test(node)) ? [...nodes, end] : nodes;
  return `{id: j, definition: {start: ${/id: (\w+)/.exec(nodes[0]!)![1]}, nodes: [${all.join(', ')}], ${rest}}}`;
};
export const signUp = (at = '', who = 'c1'): Happening => ({ at, who, event: 'Signed Up' });
export const order = (at: string, who = 'c1', amount = 100): Happening => ({
  at,
  who,
  event: 'Order Completed',
  amount,
});

export interface Scenario {
  name: string;
  journeys: string[];
  happenings: Happening[];
  expected: string[];
}

export const WAIT = [`{id: w, wait: {duration: P3D, next: m}}`, message('m', 'end')];
export const BUY = [
  '{id: b, wait_for_event: {event: {name: Order Completed, where: [{property: amount, op: gte, value: 50}]}, timeout: P7D, happened: end, timed_out: m}}',
  message('m', 'end'),
];
export const AB = (a: number, b: number, h: number) => [
  `{id: s, split: {experiment_id: exp, variants: [{id: a, weight: ${a}, next: ma}, {id: b, weight: ${b}, next: mb}, {id: none, weight: ${h}, next: end, hold_out: true}]}}`,
  message('ma', 'end'),
  message('mb', 'end'),
];
