import type { Template, TemplateContent } from '#gen/recur/messaging/v1/template.ts';

const TAG = /^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8}){0,3}$/;

export function isLocale(tag: string): boolean {
  return TAG.test(tag);
}

/** "zh_cn" → "zh-cn": what tags are compared as. */
function canonical(tag: string): string {
  return tag.replaceAll('_', '-').toLowerCase();
}

/** The variant for a locale: its exact tag, else its language alone, else the template's own content ('' as locale). */
export function contentFor(
  template: Template,
  locale: string,
): { locale: string; content: TemplateContent | undefined } {
  const wanted = canonical(locale);
  const language = wanted.split('-', 1)[0];
  let byLanguage: string | undefined;
  for (const tag of Object.keys(template.variants)) {
    const have = canonical(tag);
    if (have === wanted) return { locale: tag, content: template.variants[tag] };
    if (have === language) byLanguage = tag;
  }
  if (byLanguage !== undefined) return { locale: byLanguage, content: template.variants[byLanguage] };
  return { locale: '', content: template.content };
}
