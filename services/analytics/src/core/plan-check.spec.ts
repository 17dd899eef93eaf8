import { describe, expect, it } from 'vitest';
import { ExperimentPlan } from '#gen/recur/analytics/v1/experiment.ts';
import { checkPlan } from './plan-check.ts';

const GOOD = ExperimentPlan.fromPartial({
  id: 'mail',
  experimentId: 'Mail.2026',
  control: 'none',
  arms: [
    { variant: 'none', weight: 1 },
    { variant: 'mail', weight: 2 },
  ],
  metrics: [{ name: 'visit', events: ['Site Visited'], aggregate: 1 }],
});
const fields = (change: Partial<ExperimentPlan>) => checkPlan({ ...GOOD, ...change }).map((v) => v.field);

describe('a plan', () => {
  it('that is complete, and one that says nothing, may be stored', () => {
    expect(checkPlan(GOOD)).toEqual([]);
    expect(checkPlan(ExperimentPlan.fromPartial({ id: 'x' }))).toEqual([]);
  });

  it.each<[string, Partial<ExperimentPlan>, string[]]>([
    [
      'names too long',
      { experimentId: 'x'.repeat(257), displayName: 'x'.repeat(201) },
      ['plan.experiment_id', 'plan.display_name'],
    ],
    ['one arm', { arms: [{ variant: 'none', weight: 1 }] }, ['plan.arms']],
    [
      'an arm twice, without a share',
      { arms: [...GOOD.arms, { variant: 'mail', weight: 0 }] },
      ['plan.arms[2].variant', 'plan.arms[2].weight'],
    ],
    [
      'a share that is no number',
      { arms: [GOOD.arms[0] as never, { variant: 'b', weight: Number.NaN }] },
      ['plan.arms[1].weight'],
    ],
    ['a control that is no arm', { control: 'nobody' }, ['plan.control']],
    [
      'a metric with a name of ours',
      { metrics: [{ name: 'revenue', events: ['x'], aggregate: 3 }] },
      ['plan.metrics[0].name'],
    ],
    [
      'a metric of nothing',
      { metrics: [{ name: 'a b', events: [], aggregate: 0 }] },
      ['plan.metrics[0].name', 'plan.metrics[0].events', 'plan.metrics[0].aggregate'],
    ],
    [
      'an aggregate of the future',
      { metrics: [{ name: 'a', events: ['x'], aggregate: 9 as never }] },
      ['plan.metrics[0].aggregate'],
    ],
    [
      'a metric twice',
      { metrics: [1, 2].map(() => ({ name: 'a', events: ['x'], aggregate: 1 as const })) },
      ['plan.metrics[1].name'],
    ],
  ])('%s', (_, change, wanted) => {
    expect(fields(change)).toEqual(wanted);
  });
});
