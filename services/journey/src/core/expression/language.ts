import { type ASTNode, Environment } from '@marcbachmann/cel-js';

/** Bounds of one expression, as journey.proto tells them. */
export const MAX_CHARACTERS = 500;
const LIMITS = {
  maxAstNodes: 200,
  maxDepth: 20,
  maxListElements: 100,
  maxMapEntries: 20,
  maxCallArguments: 8,
} as const;

/** What an expression may read, by where it stands. */
export type Scope = 'event' | 'event under way' | 'node';

const VARIABLES: Readonly<Record<Scope, readonly string[]>> = {
  event: ['profile', 'segments', 'now', 'event'],
  'event under way': ['profile', 'segments', 'now', 'event', 'trigger', 'journey'],
  node: ['profile', 'segments', 'now', 'trigger', 'journey'],
};

const TIMESTAMP = 'google.protobuf.Timestamp';
const JOURNEY = {
  id: 'string',
  version: 'int',
  event: 'string',
  segment: 'string',
  variant: 'string',
  entered: TIMESTAMP,
  steps: 'int',
};

const ARITHMETIC: Readonly<Record<string, (a: number | bigint, b: number | bigint) => number>> = {
  '+': (a, b) => Number(a) + Number(b),
  '-': (a, b) => Number(a) - Number(b),
  '*': (a, b) => Number(a) * Number(b),
  '/': (a, b) => Number(a) / Number(b),
};

/** The language with what may be read there. Numbers of JSON are doubles; without the mixed operators `amount * 2` would be an error. */
function languageOf(scope: Scope): Environment {
  const language = new Environment({
    enableOptionalTypes: true,
    homogeneousAggregateLiterals: false,
    unlistedVariablesAreDyn: false,
    limits: LIMITS,
  });
  for (const [operator, work] of Object.entries(ARITHMETIC)) {
    language.registerOperator(`double ${operator} int`, work).registerOperator(`int ${operator} double`, work);
  }
  for (const name of VARIABLES[scope]) {
    if (name === 'journey') language.registerVariable({ name, schema: JOURNEY });
    else if (name === 'segments') language.registerVariable(name, 'list<string>');
    else language.registerVariable(name, name === 'now' ? TIMESTAMP : 'map');
  }
  return language;
}

export const LANGUAGES: Readonly<Record<Scope, Environment>> = {
  event: languageOf('event'),
  'event under way': languageOf('event under way'),
  node: languageOf('node'),
};

/** Macros that go through a list. */
const LOOPS = new Set(['all', 'exists', 'exists_one', 'filter', 'map']);

/**
 * Functions whose time goes with the size of what they are given. Not among them: `matches` (patterns that never end), and what makes
 * long lists of short texts.
 */
const FUNCTIONS = new Set([
  ...LOOPS,
  ...['has', 'size', 'contains', 'startsWith', 'endsWith', 'lowerAscii', 'upperAscii', 'trim', 'substring', 'indexOf'],
  ...['bool', 'int', 'double', 'string', 'dyn', 'timestamp', 'duration', 'hasValue', 'value', 'or', 'orValue'],
  ...['getFullYear', 'getMonth', 'getDate', 'getDayOfMonth', 'getDayOfWeek', 'getDayOfYear'],
  ...['getHours', 'getMinutes', 'getSeconds', 'getMilliseconds'],
]);

/** Where an expression does what could take long, and what that is. */
export function costlyPart(node: ASTNode, inLoop = false): { start: number; rule: string } | undefined {
  let isLoop = false;
  if (node.op === 'call' || node.op === 'rcall') {
    const name = node.args[0];
    if (!FUNCTIONS.has(name)) return { start: node.pos, rule: `${name} is not available` };
    isLoop = node.op === 'rcall' && LOOPS.has(name);
    if (isLoop && inLoop) return { start: node.pos, rule: `${name} may not stand inside another loop through a list` };
  }
  for (const child of childrenOf(node)) {
    const found = costlyPart(child, inLoop || isLoop);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Names of the first level read of a variable: of `trigger`, "order_id" for trigger.order_id and trigger["order_id"]. */
export function namesRead(node: ASTNode, variable: string, found = new Set<string>()): Set<string> {
  if (node.op === '.' || node.op === '.?' || node.op === '[]' || node.op === '[?]') {
    const [of, name] = node.args;
    const key = typeof name === 'string' ? name : name.op === 'value' ? name.args : undefined;
    if (of.op === 'id' && of.args === variable && typeof key === 'string') found.add(key);
  }
  for (const child of childrenOf(node)) namesRead(child, variable, found);
  return found;
}

const isNode = (value: unknown): value is ASTNode => typeof value === 'object' && value !== null && 'op' in value;

function childrenOf({ args }: ASTNode): ASTNode[] {
  return (Array.isArray(args) ? (args as unknown[]).flat(2) : [args]).filter(isNode);
}
