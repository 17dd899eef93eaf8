import { Aggregate, type ExperimentPlan } from '#gen/recur/analytics/v1/experiment.ts';

/** What is wrong with a field of a plan. */
export interface PlanViolation {
  readonly field: string;
  readonly description: string;
}

const METRIC = /^[a-z][a-z0-9_]{0,62}$/;
/** Metrics over orders: a plan cannot give them another meaning. */
const TAKEN: ReadonlySet<string> = new Set(['conversion', 'orders', 'revenue', 'order_value']);

/** Everything that is wrong with a plan; nothing when it may be stored. */
export function checkPlan(plan: ExperimentPlan): PlanViolation[] {
  const wrong: PlanViolation[] = [];
  const must = (good: boolean, field: string, description: string): void => {
    if (!good) wrong.push({ field: `plan.${field}`, description });
  };
  must(
    plan.experimentId.length <= 256,
    'experiment_id',
    `must have at most 256 characters, has ${plan.experimentId.length}`,
  );
  must(
    plan.displayName.length <= 200,
    'display_name',
    `must have at most 200 characters, has ${plan.displayName.length}`,
  );
  must(plan.control.length <= 256, 'control', `must have at most 256 characters, has ${plan.control.length}`);
  checkArms(plan, must);
  must(plan.metrics.length <= 20, 'metrics', `${plan.metrics.length} metrics; at most 20`);
  plan.metrics.slice(0, 20).forEach(({ name, events, aggregate }, i) => {
    const at = `metrics[${i}]`;
    must(
      METRIC.test(name),
      `${at}.name`,
      `"${short(name)}" must be a lower-case letter, then up to 62 of a-z, 0-9 and "_"`,
    );
    must(!TAKEN.has(name), `${at}.name`, `"${short(name)}" is a metric over orders already`);
    must(plan.metrics.findIndex((m) => m.name === name) === i, `${at}.name`, `"${short(name)}" is there twice`);
    must(events.length >= 1 && events.length <= 20, `${at}.events`, `${events.length} events; must be 1 to 20`);
    must(events.every(isName), `${at}.events`, 'each must have 1 to 256 characters');
    must(
      aggregate >= Aggregate.AGGREGATE_CUSTOMERS && aggregate <= Aggregate.AGGREGATE_AMOUNT,
      `${at}.aggregate`,
      'must be AGGREGATE_CUSTOMERS, AGGREGATE_EVENTS or AGGREGATE_AMOUNT',
    );
  });
  return wrong;
}

function checkArms(
  { arms, control }: ExperimentPlan,
  must: (good: boolean, field: string, rule: string) => void,
): void {
  if (arms.length === 0) return;
  must(arms.length >= 2 && arms.length <= 20, 'arms', `${arms.length} arms; must be none, or 2 to 20`);
  arms.slice(0, 20).forEach(({ variant, weight }, i) => {
    must(isName(variant), `arms[${i}].variant`, 'must have 1 to 256 characters');
    must(
      arms.findIndex((arm) => arm.variant === variant) === i,
      `arms[${i}].variant`,
      `"${short(variant)}" is there twice`,
    );
    must(weight > 0 && weight <= 1e9, `arms[${i}].weight`, `${weight} must be above 0 and at most 1000000000`);
  });
  must(
    control === '' || arms.some((arm) => arm.variant === control),
    'control',
    `"${short(control)}" is none of the arms`,
  );
}

const isName = (text: string): boolean => text.length >= 1 && text.length <= 256;
const short = (text: string): string => text.slice(0, 50);
