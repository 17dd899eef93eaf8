import { expect, test } from 'vitest';
import { type Journey, Node } from '#gen/recur/journey/v1/journey.ts';
import { type FunnelRow, funnelOf } from './funnel.ts';

const exit = { $case: 'exit' as const, value: { reason: '' } };
const variant = (id: string) => ({ id, weight: 1, next: 'mail', holdOut: id === 'hold_out' });
const nodes = [
  Node.fromPartial({ id: 'wait', kind: { $case: 'wait', value: { duration: 'P3D', next: 'arm' } } }),
  Node.fromPartial({ id: 'arm', kind: { $case: 'split', value: { variants: ['b', 'a', 'hold_out'].map(variant) } } }),
  Node.fromPartial({ id: 'mail', kind: { $case: 'message', value: { templateId: 't' } } }),
  Node.fromPartial({ id: 'end', kind: exit }),
];
const journey = { id: 'welcome', definition: { nodes } } as Pick<Journey, 'id' | 'definition'>;

const row = (action: string, customers: number, rest: Partial<FunnelRow> = {}): FunnelRow => ({
  journey_id: 'welcome',
  node_id: '',
  branch: '',
  reason: '',
  action,
  customers,
  ...rest,
});

test('follows the definition: nodes in its order, branches in theirs, then the goal, then why people left', () => {
  const rows = [
    row('exited', 5, { node_id: 'wait', reason: 'goal' }),
    row('reached', 60, { node_id: 'end' }),
    row('converted', 12, { node_id: 'wait', reason: 'Order Completed' }),
    row('reached', 20, { node_id: 'arm', branch: 'hold_out' }),
    row('reached', 50, { node_id: 'mail' }),
    row('reached', 30, { node_id: 'arm', branch: 'a' }),
    row('exited', 60, { node_id: 'end', reason: 'sent' }),
    row('reached', 20, { node_id: 'arm', branch: 'b' }),
    row('reached', 75, { node_id: 'wait' }),
    row('converted', 3, { reason: 'Order Completed' }),
    row('reached', 999, { node_id: 'mail', journey_id: 'other' }),
  ];
  const notSent = [
    { journey_id: 'welcome', reason: 'frequency_cap', messages: 1 },
    { journey_id: 'welcome', reason: 'no_address', messages: 9 },
    { journey_id: 'other', reason: 'no_address', messages: 9 },
  ];
  expect(funnelOf(journey, rows, notSent)).toEqual([
    { what: 'wait', count: 75 },
    { what: 'arm → b', count: 20 },
    { what: 'arm → a', count: 30 },
    { what: 'arm → hold_out', count: 20 },
    { what: 'mail', count: 50 },
    { what: 'not sent: no_address', count: 9 },
    { what: 'not sent: frequency_cap', count: 1 },
    { what: 'goal: Order Completed', count: 15 },
    { what: 'left: sent', count: 60 },
    { what: 'left: goal', count: 5 },
  ]);
});

test('a journey nobody entered has none', () => {
  expect(funnelOf(journey, [], [])).toEqual([]);
});
