import { createHash } from 'node:crypto';
import { Tokenizer, TokenKind } from 'liquidjs';
import { htmlEngine } from '../../core/template-source.ts';

/** A source whose Liquid is put away, so that a compiler of markup cannot change or misread it. */
export interface Marked {
  /** With a word in place of everything that is Liquid; on the same lines. */
  readonly source: string;
  /** A text with the Liquid back in place of the words. */
  restore(text: string): string;
  /** What the compiler left out, in the order of the source. */
  lost(compiled: string): { readonly line: number; readonly liquid: string }[];
}

/**
 * Puts a word in place of every `{{ … }}` and `{% … %}`.
 * @throws liquidjs ParseError or TokenizationError, with the position in its token
 */
export function markLiquid(source: string): Marked {
  // No text holds a hash of itself, so no word of the text is taken for one of ours.
  const prefix = `lq${createHash('sha256').update(source).digest('hex').slice(0, 12)}x`;
  const found: { liquid: string; line: number }[] = [];
  let marked = '';
  let at = 0;
  let line = 1;
  for (const { kind, begin, end } of new Tokenizer(source, htmlEngine.options.operators).readTopLevelTokens()) {
    if (kind !== TokenKind.Tag && kind !== TokenKind.Output) continue;
    line += newlines(source, at, begin);
    const liquid = source.slice(begin, end);
    const lines = newlines(source, begin, end);
    marked += `${source.slice(at, begin)}${prefix}${found.length}q${'\n'.repeat(lines)}`;
    found.push({ liquid, line });
    line += lines;
    at = end;
  }
  marked += source.slice(at);
  const word = new RegExp(`${prefix}(\\d+)q`, 'g');
  return {
    source: marked,
    restore: (text) => text.replace(word, (_all, n: string) => found[Number(n)]?.liquid ?? ''),
    lost: (compiled) => {
      const kept = new Set(Array.from(compiled.matchAll(word), ([, n]) => Number(n)));
      return found.filter((_each, n) => !kept.has(n));
    },
  };
}

function newlines(text: string, from: number, to: number): number {
  let count = 0;
  for (let at = text.indexOf('\n', from); at >= 0 && at < to; at = text.indexOf('\n', at + 1)) count++;
  return count;
}
