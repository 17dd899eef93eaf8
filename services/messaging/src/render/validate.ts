import type { Template, TemplateContent } from '#gen/recur/messaging/v1/template.ts';
import { CHANNEL_NAMES, CHANNELS } from '#lib/channels/channels.ts';
import { headerProblem } from '../core/header.ts';
import { isLocale } from '../core/locale.ts';
import { CATEGORY, type Violation } from '../core/settings.ts';
import { contentsOf, MAX_TEMPLATE_BYTES, type Part, parsePart, partsOf } from '../core/template-source.ts';
import { contentRules } from './content-rules.ts';
import { render, type Scope, TemplateError } from './render.ts';

const ID = /^[a-z][a-z0-9_-]{0,62}$/;
export const MAX_VARIANTS = 8;

/** A customer nobody knows anything of: what every template must be able to cope with. */
export const NOBODY: Scope = {
  customer: {},
  journey: {},
  message: {
    id: 'trial',
    purpose: 'marketing',
    channel: 'email',
    locale: 'en',
    unsubscribe_url: 'https://shop.example/u',
  },
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
    CHANNELS.has(template.channel),
    `must be one of ${CHANNEL_NAMES}, is ${JSON.stringify(template.channel.slice(0, 32))}`,
  );
  const problem = headerProblem(template.name, 200);
  check('name', template.name !== '' && problem === undefined, problem ?? 'must not be empty');
  check('category', template.category === '' || CATEGORY.test(template.category), `must match ${CATEGORY.source}`);
  const tags = Object.keys(template.variants);
  check('variants', tags.length <= MAX_VARIANTS, `must be at most ${MAX_VARIANTS}, are ${tags.length}`);
  check('content', template.content !== undefined, 'is required');
  for (const tag of tags)
    check('variants', isLocale(tag), `must have BCP 47 tags as keys, has ${JSON.stringify(tag.slice(0, 32))}`);
  if (found.length > 0) return found;
  for (const [locale, content] of contentsOf(template)) {
    found.push(...contentViolations(pathOf(locale), template.channel, content));
  }
  return found;
}

/** Of a content in errors; the default's locale is ''. */
export function pathOf(locale: string): string {
  return locale === '' ? 'template.content' : `template.variants[${locale}]`;
}

function contentViolations(field: string, channel: string, content: TemplateContent): Violation[] {
  const parts = partsOf(content);
  const compiled = content.mjml !== '';
  const written = parts.map(([part, source]) => (compiled && part === 'html' ? content.mjml : source));
  const size = written.reduce((sum, source) => sum + Buffer.byteLength(source), 0);
  if (size > MAX_TEMPLATE_BYTES)
    return [{ field, description: `must have at most ${MAX_TEMPLATE_BYTES} bytes, has ${size}` }];
  const broken = contentRules(field, channel, content);
  if (broken.length > 0) return broken;
  const found: Violation[] = [];
  for (const [part, source] of parts) {
    try {
      parsePart(part, source);
    } catch (error) {
      found.push(describe(field, TemplateError.from(part, error), compiled));
    }
  }
  return found.length > 0 ? found : trial(field, channel, content);
}

function trial(field: string, channel: string, content: TemplateContent): Violation[] {
  try {
    render(content, { ...NOBODY, message: { ...NOBODY.message, channel } });
    return [];
  } catch (error) {
    return [describe(field, TemplateError.from('html', error), content.mjml !== '')];
  }
}

/** @param compiled what stands in `html` was made of `mjml` */
function describe(field: string, error: TemplateError, compiled: boolean): Violation {
  const where = error.line > 0 ? `line ${error.line}, column ${error.column}: ` : '';
  if (compiled && error.part === 'html')
    return { field: `${field}.mjml`, description: `in the HTML made of it, ${where}${error.message}` };
  return { field: `${field}.${error.part satisfies Part}`, description: `${where}${error.message}` };
}
