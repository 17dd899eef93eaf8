import type { Template as Parsed, VariableSegments } from 'liquidjs';
import type { TemplateContent } from '#gen/recur/messaging/v1/template.ts';
import { type Part, parsePart, partsOf, plainEngine } from './template-source.ts';

const MAX_VARIABLES = 100;
const MAX_NAME = 100;
/** What is about the customer and the journey; the rest is always there. */
const ROOTS: ReadonlySet<unknown> = new Set(['customer', 'journey']);

/** A variable a template reads. */
export interface TemplateVariable {
  /** As it is written: `customer.first_name`. */
  readonly name: string;
  /** Ends where the rest is computed while rendering. */
  readonly path: readonly (string | number)[];
}

/** Every variable named, those of loops and assignments included, in the order of the text. */
export function variablesIn(templates: Parsed[]): TemplateVariable[] {
  return Object.values(plainEngine.analyzeSync(templates).variables).map(([first]) =>
    variableOf(first?.segments ?? []),
  );
}

/** What a content reads of customer and journey, with the parts it stands in; at most 100. */
export function variablesOf(content: TemplateContent): Map<string, TemplateVariable & { readonly parts: Part[] }> {
  const found = new Map<string, TemplateVariable & { readonly parts: Part[] }>();
  for (const [part, source] of partsOf(content)) {
    if (source === '') continue;
    const { globals } = plainEngine.analyzeSync(parsePart(part, source));
    for (const variable of Object.values(globals).flat()) {
      const { name, path } = variableOf(variable.segments);
      if (!ROOTS.has(path[0]) || path.length < 2) continue;
      const known = found.get(name);
      if (known === undefined) {
        if (found.size < MAX_VARIABLES) found.set(name, { name, path, parts: [part] });
      } else if (!known.parts.includes(part)) known.parts.push(part);
    }
  }
  return found;
}

/** Whether a scope has nothing there: undefined, null or an empty text. */
export function lacks(scope: Readonly<Record<string, unknown>>, { path }: TemplateVariable): boolean {
  let value: unknown = scope;
  for (const segment of path) {
    if (Array.isArray(value) && (segment === 'size' || segment === 'first' || segment === 'last'))
      return value.length === 0;
    if (typeof value === 'string' && segment === 'size') return false;
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, segment)) return true;
    value = (value as Record<string | number, unknown>)[segment];
  }
  return value === undefined || value === null || value === '';
}

function variableOf(segments: VariableSegments): TemplateVariable {
  const end = segments.findIndex((segment) => typeof segment === 'object');
  const path = (end < 0 ? segments : segments.slice(0, end)) as (string | number)[];
  return { name: nameOf(path).slice(0, MAX_NAME), path };
}

function nameOf(path: readonly (string | number)[]): string {
  return path.reduce<string>((name, segment) => {
    if (name === '') return String(segment);
    const isPlain = typeof segment === 'string' && /^[A-Za-z_][\w-]*$/.test(segment);
    return isPlain ? `${name}.${segment}` : `${name}[${JSON.stringify(segment)}]`;
  }, '');
}
