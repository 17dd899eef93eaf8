import type { EmitEvent, UpdateTraits } from '#gen/recur/journey/v1/journey.ts';
import { expressionFault } from '../expression/expression.ts';
import type { Violations } from './violations.ts';

const MAX_TRAITS = 20;
const MAX_NAME = 100;
const MAX_EVENT_NAME = 200;
/** Of what a node sets or emits, as JSON. */
export const MAX_BYTES = 2_048;

/** Traits ingest seals: a journey would write them in the clear. */
const PERSONAL =
  /^(e?mail|emailaddress|phone|phonenumber|mobile|(first|last|full|given|family|nick|user)?name|birthday|birthdate|dateofbirth|address|street|avatar|photo|openid|unionid|wechat|idcard|passport)$/;

export function checkUpdateTraits({ traits, expressions }: UpdateTraits, at: string, violations: Violations): void {
  const entries = isObject(traits) ? Object.entries(traits) : [];
  const count = entries.length + Object.keys(expressions).length;
  const many = count >= 1 && count <= MAX_TRAITS;
  if (!violations.check(many, `${at}.traits`, `must have 1 to ${MAX_TRAITS} traits, with those of expressions`)) return;
  checkBytes(traits ?? {}, `${at}.traits`, violations);
  for (const [name, value] of entries) {
    const position = `${at}.traits.${name.slice(0, MAX_NAME)}`;
    checkTraitName(name, position, violations);
    violations.check(isTraitValue(value), position, 'must be a string, number, boolean, a list of them, or null');
  }
  for (const name of Object.keys(expressions)) {
    checkTraitName(name, `${at}.expressions.${name.slice(0, MAX_NAME)}`, violations);
  }
  checkExpressions(expressions, traits, at, violations);
}

function checkTraitName(name: string, position: string, violations: Violations): void {
  const named = name !== '' && name.length <= MAX_NAME && !name.startsWith('$');
  violations.check(named, position, `must have a name of 1 to ${MAX_NAME} characters that does not begin with "$"`);
  const personal = PERSONAL.test(name.toLowerCase().replace(/[_\-. ]/g, ''));
  violations.check(!personal, position, 'holds personal data, which journeys cannot set');
}

/** @param given what stands there already */
function checkExpressions(
  expressions: Readonly<Record<string, string>>,
  given: unknown,
  at: string,
  violations: Violations,
): void {
  const names = Object.keys(expressions);
  if (!violations.check(names.length <= MAX_TRAITS, `${at}.expressions`, `must have at most ${MAX_TRAITS} items`))
    return;
  for (const name of names) {
    const position = `${at}.expressions.${name.slice(0, MAX_NAME)}`;
    const isGiven = isObject(given) && Object.hasOwn(given, name);
    violations.check(!isGiven, position, 'has a value already: give one of the two');
    const fault = expressionFault(expressions[name] ?? '', 'node', 'value');
    if (fault !== undefined) violations.add(position, fault);
  }
}

/** What a trait may be set to. */
export function isTraitValue(value: unknown): boolean {
  return Array.isArray(value) ? value.every(isScalar) : value === null || isScalar(value);
}

export function checkEmitEvent({ name, properties, expressions }: EmitEvent, at: string, violations: Violations): void {
  const named = name !== '' && name.length <= MAX_EVENT_NAME;
  violations.check(named, `${at}.name`, `must be an event name of 1 to ${MAX_EVENT_NAME} characters`);
  violations.check(
    !/^order /i.test(name),
    `${at}.name`,
    'must not begin with "Order ": orders are the shop\'s to tell',
  );
  const given = properties === undefined || isObject(properties);
  if (violations.check(given, `${at}.properties`, 'must be a mapping'))
    checkBytes(properties ?? {}, `${at}.properties`, violations);
  for (const property of Object.keys(expressions)) {
    const rule = `must have a name of 1 to ${MAX_NAME} characters`;
    const good = property !== '' && property.length <= MAX_NAME;
    violations.check(good, `${at}.expressions.${property.slice(0, MAX_NAME)}`, rule);
  }
  checkExpressions(expressions, properties, at, violations);
}

function checkBytes(value: unknown, at: string, violations: Violations): void {
  const bytes = Buffer.byteLength(JSON.stringify(value));
  violations.check(bytes <= MAX_BYTES, at, `must be at most ${MAX_BYTES} bytes of JSON`);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isScalar(value: unknown): boolean {
  return typeof value === 'string' || typeof value === 'boolean' || Number.isFinite(value);
}
