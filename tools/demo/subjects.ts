import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { LIBRARY } from '#tools/library/load.ts';

interface TemplateFile {
  readonly id: string;
  readonly content: { readonly subject: string };
  readonly variants?: Record<string, { readonly subject: string }>;
}

/** Recognises the template a mail was made from by its subject line, as a reader does. */
export function subjectReader(folder = join(LIBRARY, 'templates')): (subject: string) => string {
  const known: { pattern: RegExp; id: string }[] = [];
  for (const name of readdirSync(folder)) {
    const file = parse(readFileSync(join(folder, name), 'utf8')) as TemplateFile;
    for (const { subject } of [file.content, ...Object.values(file.variants ?? {})]) {
      const literal = subject.split(/\{\{.*?\}\}|\{%.*?%\}/).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
      known.push({ pattern: new RegExp(`^${literal.join('.*')}$`), id: file.id });
    }
  }
  return (subject) => known.find(({ pattern }) => pattern.test(subject))?.id ?? '';
}
