import { Context, type Emitter, type Liquid, LiquidError, type Template as Parsed, toValueSync } from 'liquidjs';
import type { TemplateContent } from '#gen/recur/messaging/v1/template.ts';
import { headerProblem } from '../core/header.ts';
import { htmlEngine, type ParsedContent, type Part, parseContent, plainEngine } from '../core/template-source.ts';
import { noteMissing, watchOutputs } from './watch-outputs.ts';

/** Of one part, rendered. */
export const MAX_OUTPUT_BYTES = 256 * 1024;
export const MAX_RENDER_MS = 250;
/** Who used no more of the processor in that time was waiting for it. */
const STOOD_STILL_MS = MAX_RENDER_MS / 4;
/** Of a process that stands still again and again. */
const MAX_TRIES = 20;
/** Characters and array items a render may create in filters, captures and ranges. */
const MAX_MEMORY = 2_000_000;
const MAX_SUBJECT = 250;
const MAX_PARAMETER = 500;

/** Why a template could not be rendered, and where in which part. */
export class TemplateError extends Error {
  readonly part: Part;
  /** From 1; 0 when it is about the part as a whole. */
  readonly line: number;
  readonly column: number;

  constructor(part: Part, message: string, line = 0, column = 0) {
    super(message);
    this.name = 'TemplateError';
    this.part = part;
    this.line = line;
    this.column = column;
  }

  static from(part: Part, error: unknown): TemplateError {
    if (error instanceof TemplateError) return error;
    if (!LiquidError.is(error)) return new TemplateError(part, error instanceof Error ? error.message : String(error));
    const [line = 0, column = 0] = error.token.getPosition();
    const message = (error.originalError?.message ?? error.message).split('\n', 1)[0] ?? '';
    return new TemplateError(part, message.slice(0, 300), line, column);
  }
}

export interface Rendered {
  readonly subject: string;
  readonly text: string;
  readonly html: string;
  /** Variables of a text that is kept at the provider. */
  readonly parameters: Readonly<Record<string, string>>;
  /** Names of variables that printed nothing where the template has no default: `customer.first_name`. At most 50. */
  readonly missing: readonly string[];
}

/** What a template sees. */
export interface Scope {
  readonly customer: Readonly<Record<string, unknown>>;
  readonly journey: Readonly<Record<string, unknown>>;
  readonly message: {
    readonly id: string;
    readonly purpose: string;
    readonly channel: string;
    readonly locale: string;
    readonly unsubscribe_url: string;
  };
  readonly shop: { readonly name: string };
}

const parsed = new WeakMap<TemplateContent, ParsedContent>();

/** @throws TemplateError when it does not parse, fails, takes too long, grows too large, or gives no usable subject */
export function render(content: TemplateContent, scope: Scope): Rendered {
  const parts = parsedOf(content);
  const missing = new Set<string>();
  const lineOf = (part: Part, source: Parsed[], maxLength: number) => {
    const line = renderPart(part, plainEngine, source, scope, missing).trim();
    const problem = headerProblem(line, maxLength);
    if (problem) throw new TemplateError(part, problem);
    return line;
  };
  const subject = lineOf('subject', parts.subject, MAX_SUBJECT);
  const wanted = content.subject !== '' || scope.message.channel === 'email';
  if (wanted && subject === '') throw new TemplateError('subject', 'must not be empty');
  const text = renderPart('text', plainEngine, parts.text, scope, missing);
  const html = renderPart('html', htmlEngine, parts.html, scope, missing);
  const parameters: Record<string, string> = {};
  for (const [name, source] of parts.parameters) {
    parameters[name] = lineOf(`parameters.${name}`, source, MAX_PARAMETER);
  }
  return { subject, text, html, parameters, missing: [...missing] };
}

function parsedOf(content: TemplateContent): ParsedContent {
  let parts = parsed.get(content);
  if (!parts) {
    try {
      parts = parseContent(content);
      for (const part of [parts.subject, parts.text, parts.html]) watchOutputs(part);
      for (const [, source] of parts.parameters) watchOutputs(source);
    } catch (error) {
      throw TemplateError.from('html', error);
    }
    parsed.set(content, parts);
  }
  return parts;
}

/**
 * The limits are cooperative: liquidjs looks at the clock between tags and counts what filters allocate, and the emitter
 * counts the output. Together with the bound on a template's size no single step can be long.
 *
 * Its clock is the wall's, and a process may stand still on a busy machine: what took long, but little of the processor, is tried again.
 */
function renderPart(part: Part, engine: Liquid, template: Parsed[], scope: Scope, missing: Set<string>): string {
  if (template.length === 0) return '';
  const begun = cpuMs();
  for (let left = MAX_TRIES; ; left--) {
    try {
      return renderOnce(engine, template, scope, missing);
    } catch (error) {
      const stoodStill = isTimeLimit(error) && cpuMs() - begun < STOOD_STILL_MS;
      if (!stoodStill || left === 1) throw TemplateError.from(part, error);
    }
  }
}

function renderOnce(engine: Liquid, template: Parsed[], scope: Scope, missing: Set<string>): string {
  const emitter = new BoundedEmitter();
  const context = new Context(
    scope,
    engine.options,
    { sync: true, renderLimit: MAX_RENDER_MS, memoryLimit: MAX_MEMORY },
    { liquid: engine },
  );
  noteMissing(context, missing);
  toValueSync(engine.renderer.renderTemplates(template, context, emitter));
  return emitter.buffer;
}

/** Of this thread. */
function cpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
}

const isTimeLimit = (error: unknown): boolean =>
  error instanceof Error && error.message.includes('template render limit exceeded');

class BoundedEmitter implements Emitter {
  buffer = '';

  write(chunk: unknown): void {
    this.buffer += stringOf(chunk);
    if (this.buffer.length > MAX_OUTPUT_BYTES)
      throw new RangeError(`output is larger than ${MAX_OUTPUT_BYTES / 1024} KiB`);
  }
}

/** As liquidjs writes values out: nothing for nil, lists without separators. */
function stringOf(value: unknown): string {
  if (typeof value === 'string') return value;
  if (value === null || value === undefined) return '';
  if (Array.isArray(value)) return value.map(stringOf).join('');
  return String(value);
}
