import type { Template, TemplateContent } from '#gen/recur/messaging/v1/template.ts';
import type { Violation } from '../../core/settings.ts';
import { contentsOf, MAX_TEMPLATE_BYTES } from '../../core/template-source.ts';
import { MAX_VARIANTS, pathOf, templateViolations } from '../validate.ts';
import type { MjmlCompiler } from './mjml.ts';

/** A template as it is stored, and everything wrong with it. */
export interface Checked {
  readonly template: Template;
  readonly violations: Violation[];
}

/** Compiles the MJML there is into `html`, and checks the whole. */
export async function checkTemplate(given: Template, mjml: Pick<MjmlCompiler, 'compile'>): Promise<Checked> {
  const violations: Violation[] = [];
  let template = given;
  if (Object.keys(given.variants).length > MAX_VARIANTS) return { template, violations: templateViolations(template) };
  for (const [locale, content] of contentsOf(given)) {
    if (content.mjml === '' || given.channel !== 'email') continue;
    const compiled = await compileContent(content, mjml);
    const field = `${pathOf(locale)}.mjml`;
    for (const description of compiled.problems) violations.push({ field, description });
    template = withContent(template, locale, { ...content, html: compiled.html });
  }
  // What does not compile has no HTML to look at, and the rest is told with it.
  const rest = templateViolations(template);
  const told = new Set(violations.map(({ field }) => field));
  return { template, violations: [...violations, ...rest.filter(({ field }) => !told.has(field))] };
}

async function compileContent(
  { mjml: source }: TemplateContent,
  mjml: Pick<MjmlCompiler, 'compile'>,
): Promise<{ html: string; problems: string[] }> {
  const size = Buffer.byteLength(source);
  // Said by templateViolations, of the content as a whole.
  if (size > MAX_TEMPLATE_BYTES) return { html: '', problems: [] };
  const { html, errors } = await mjml.compile(source);
  return { html, problems: errors.map(({ line, message }) => (line > 0 ? `line ${line}: ${message}` : message)) };
}

function withContent(template: Template, locale: string, content: TemplateContent): Template {
  return locale === ''
    ? { ...template, content }
    : { ...template, variants: { ...template.variants, [locale]: content } };
}
