import { CaptureTag, type Context, Liquid, type Template as Parsed } from 'liquidjs';
import type { Template, TemplateContent } from '#gen/recur/messaging/v1/template.ts';

export const MAX_TEMPLATE_BYTES = 64 * 1024;

const limits = {
  // Values of customers and events never reach prototypes, and there is nothing to include.
  ownPropertyOnly: true,
  templates: {},
  strictFilters: true,
  parseLimit: MAX_TEMPLATE_BYTES * 4,
  // A fixed zone: the same template gives the same text on every machine.
  timezoneOffset: 0,
} as const;

/** Subjects and texts. */
export const plainEngine = new Liquid(limits);
/** HTML: what customers typed about themselves cannot become markup. */
export const htmlEngine = new Liquid({ ...limits, outputEscape: 'escape' });

/** What a capture collects counts as memory too: without that, capturing a text twice, again and again, grows unseen. */
class CountedCapture extends CaptureTag {
  override *render(ctx: Context): Generator<unknown, void, string> {
    yield* super.render(ctx);
    const captured: unknown = Reflect.get(ctx.bottom(), this.variable);
    ctx.memoryLimit.use(String(captured).length);
  }
}
for (const engine of [plainEngine, htmlEngine]) engine.registerTag('capture', CountedCapture);

/** Where in a content a source stands: a field, or `parameters.<name>`. */
export type Part = 'subject' | 'text' | 'html' | `parameters.${string}`;

export interface ParsedContent {
  readonly subject: Parsed[];
  readonly text: Parsed[];
  readonly html: Parsed[];
  readonly parameters: readonly (readonly [name: string, source: Parsed[]])[];
}

/** Everything in it that is Liquid. */
export function partsOf({ subject, text, html, parameters }: TemplateContent): [Part, string][] {
  const named = Object.entries(parameters).map(([name, source]): [Part, string] => [`parameters.${name}`, source]);
  return [['subject', subject], ['text', text], ['html', html], ...named];
}

/** @throws liquidjs ParseError or TokenizationError, with the position in its token. */
export function parsePart(part: Part, source: string): Parsed[] {
  return (part === 'html' ? htmlEngine : plainEngine).parse(source);
}

/** @throws as parsePart */
export function parseContent(content: TemplateContent): ParsedContent {
  return {
    subject: parsePart('subject', content.subject),
    text: parsePart('text', content.text),
    html: parsePart('html', content.html),
    parameters: Object.entries(content.parameters).map(([name, source]) => [
      name,
      parsePart(`parameters.${name}`, source),
    ]),
  };
}

/** Every language a template has, the default under ''. */
export function contentsOf(template: Template): [locale: string, content: TemplateContent][] {
  const all: [string, TemplateContent][] = Object.entries(template.variants);
  if (template.content) all.unshift(['', template.content]);
  return all;
}

/**
 * Traits a template reads: the x of every `customer.x` and `customer["x"]`. What is computed while rendering
 * (`customer[name]`) cannot be known. Templates that do not parse name nothing; they fail when rendered.
 */
export function traitsNamed(template: Template): Set<string> {
  const names = new Set<string>();
  for (const [, content] of contentsOf(template)) {
    for (const [part, source] of partsOf(content)) {
      for (const [root, name] of segmentsOf(part, source)) {
        if (root === 'customer' && typeof name === 'string') names.add(name);
      }
    }
  }
  return names;
}

function segmentsOf(part: Part, source: string): unknown[][] {
  if (source === '') return [];
  try {
    return plainEngine.variableSegmentsSync(parsePart(part, source));
  } catch {
    return [];
  }
}
