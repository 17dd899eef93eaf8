import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '#tools/servers/node.ts';

/** Where the cookbook is: one file a question. */
const COOKBOOK = join(ROOT, 'services/analytics/cookbook');

export interface Recipe {
  readonly number: number;
  readonly file: string;
  /** The question, in English and in Chinese. */
  readonly title: string;
  readonly chinese: string;
  /** What the answer says, and what it does not. */
  readonly explained: string;
  /** Values for the parameters, when none are given. */
  readonly defaults: Readonly<Record<string, string>>;
  readonly sql: string;
}

export function readCookbook(folder = COOKBOOK): Recipe[] {
  return readdirSync(folder)
    .filter((name) => /^\d{2}_.*\.sql$/.test(name))
    .sort()
    .map((file) => recipeOf(file, readFileSync(join(folder, file), 'utf8')));
}

/**
 * A file is a head of comments and one query: the question, the question in Chinese, then what the answer means, and a line
 * `-- param name = value` for each parameter.
 */
export function recipeOf(file: string, text: string): Recipe {
  const lines = text.split('\n');
  const head: string[] = [];
  while (lines[0]?.startsWith('--')) head.push((lines.shift() as string).replace(/^--\s?/, ''));
  const [title = '', chinese = '', ...rest] = head;
  const isParameter = /^param (\w+) = (.*)$/;
  const explained = rest
    .filter((line) => !isParameter.test(line))
    .join(' ')
    .trim();
  const defaults = Object.fromEntries(
    rest.flatMap((line) => {
      const [, name, value] = isParameter.exec(line) ?? [];
      return name === undefined || value === undefined ? [] : [[name, value] as const];
    }),
  );
  const sql = lines.join('\n').trim().replace(/;$/, '');
  if (title === '' || chinese === '' || explained === '' || sql === '')
    throw new Error(`cookbook ${file}: it needs a question, the question in Chinese, an explanation, and a query`);
  return { number: Number(file.slice(0, 2)), file, title, chinese, explained, defaults, sql };
}

/** All, those with a word, or the one with a number. @throws Error when there is none */
export function recipesFor(recipes: readonly Recipe[], asked: string): Recipe[] {
  if (asked === '') return [...recipes];
  const word = asked.toLowerCase();
  const found = /^\d+$/.test(asked)
    ? recipes.filter(({ number }) => number === Number(asked))
    : recipes.filter(({ title, chinese, sql }) =>
        [title, chinese, sql].some((text) => text.toLowerCase().includes(word)),
      );
  if (found.length === 0)
    throw new Error(`--cookbook: there is no question ${asked}; --cookbook alone lists all ${recipes.length}`);
  return found;
}
