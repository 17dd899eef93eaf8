import { Operator, type PropertyCondition } from '#gen/recur/journey/v1/journey.ts';
import { type Properties, propertyAt } from './properties.ts';

/** Whether one property condition holds. @param trigger properties of what let the customer in, where that is known */
export function holds(condition: PropertyCondition, properties: Properties, trigger?: Properties): boolean {
  const actual = propertyAt(properties, condition.property);
  const isCompared = condition.triggerProperty !== '';
  const wanted: unknown = isCompared ? propertyAt(trigger ?? {}, condition.triggerProperty) : condition.value;
  if (isCompared && (wanted === undefined || wanted === null)) return false;
  switch (condition.op) {
    case Operator.OPERATOR_EQ:
      return actual === wanted;
    case Operator.OPERATOR_NE:
      return actual !== wanted;
    case Operator.OPERATOR_GT:
      return compare(actual, wanted, (a, b) => a > b);
    case Operator.OPERATOR_GTE:
      return compare(actual, wanted, (a, b) => a >= b);
    case Operator.OPERATOR_LT:
      return compare(actual, wanted, (a, b) => a < b);
    case Operator.OPERATOR_LTE:
      return compare(actual, wanted, (a, b) => a <= b);
    case Operator.OPERATOR_CONTAINS:
      return contains(actual, wanted);
    case Operator.OPERATOR_IN:
      return Array.isArray(wanted) && wanted.includes(actual);
    case Operator.OPERATOR_EXISTS:
      return actual !== undefined && actual !== null;
    case Operator.OPERATOR_NOT_EXISTS:
      return actual === undefined || actual === null;
    default:
      return false;
  }
}

function compare(actual: unknown, wanted: unknown, test: (a: number, b: number) => boolean): boolean {
  return typeof actual === 'number' && typeof wanted === 'number' && test(actual, wanted);
}

function contains(actual: unknown, wanted: unknown): boolean {
  if (Array.isArray(actual)) return actual.includes(wanted);
  return typeof actual === 'string' && typeof wanted === 'string' && actual.includes(wanted);
}
