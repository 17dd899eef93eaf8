import type { Template, TemplateContent } from '#gen/recur/messaging/v1/template.ts';
import { CHANNEL } from '../core/decide.ts';
import { headerProblem } from '../core/header.ts';
import { isLocale } from '../core/locale.ts';
import type { Violation } from '../core/settings.ts';
import { contentsOf, MAX_TEMPLATE_BYTES, parsePart } from '../core/template-source.ts';
import { type Part, render, type Scope, TemplateError } from './render.ts';

const ID = /^[a-z][a-z0-9_-]{0,62}$/;
const MAX_VARIANTS = 8;

/** A customer nobody knows anything of: what every template must be able to cope with. */
export const NOBODY: Scope = {
  customer: {},
  journey: {},
  message: { id: 'trial', purpose: 'marketing', channel: CHANNEL, locale: 'en' },
  shop: { name: 'Shop' },
};

/** Everything wrong with a template somebody wants to store; with a trial render of each language. */
export function templateViolations(template: Template): Violation[] {
  const found: Violation[] = [];
  const check = (field: string, ok: boolean, description: string) => {
    if (!ok) found.push({ field: `template.${field}`, description });
  };
  check('id', ID.test(template.id), 'must be 1–63 lower-case letters, digits, "-" and "_", starting with a letter');
  check(
    'channel',
    template.channel === CHANNEL,
    `must be "${CHANNEL}", is ${JSON.stringify(template.channel.slice(0, 32))}`,
  );
  const problem = headerProblem(template.name, 200);
  check('name', template.name !== '' && problem === undefined, problem ?? 'must not be empty');
  const tags = Object.keys(template.variants);
  check('variants', tags.length <= MAX_VARIANTS, `must be at most ${MAX_VARIANTS}, are ${tags.length}`);
  check('content', template.content !== undefined, 'is required');
  for (const tag of tags)
    check('variants', isLocale(tag), `must have BCP 47 tags as keys, has ${JSON.stringify(tag.slice(0, 32))}`);
  if (found.length > 0) return found;
  for (const [locale, content] of contentsOf(template)) {
    found.push(...contentViolations(locale === '' ? 'template.content' : `template.variants[${locale}]`, content));
  }
  return found;
}

function contentViolations(field: string, content: TemplateContent): Violation[] {
  const size = Buffer.byteLength(content.subject) + Buffer.byteLength(content.text) + Buffer.byteLength(content.html);
  if (size > MAX_TEMPLATE_BYTES)
    return [{ field, description: `must have at most ${MAX_TEMPLATE_BYTES} bytes, has ${size}` }];
  if (content.text === '' && content.html === '') return [{ field, description: 'needs text or html' }];
  const line = content.subject === '' ? 'must not be empty' : headerProblem(content.subject, 500);
  if (line !== undefined) return [{ field: `${field}.subject`, description: line }];
  const found: Violation[] = [];
  for (const part of ['subject', 'text', 'html'] as const) {
    try {
      parsePart(part, content[part]);
    } catch (error) {
      found.push(describe(field, TemplateError.from(part, error)));
    }
  }
  return found.length > 0 ? found : trial(field, content);
}

function trial(field: string, content: TemplateContent): Violation[] {
  try {
    render(content, NOBODY);
    return [];
  } catch (error) {
    return [describe(field, TemplateError.from('html', error))];
  }
}

function describe(field: string, error: TemplateError): Violation {
  const where = error.line > 0 ? `line ${error.line}, column ${error.column}: ` : '';
  return { field: `${field}.${error.part satisfies Part}`, description: `${where}${error.message}` };
}
