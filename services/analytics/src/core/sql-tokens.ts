/** One token of ClickHouse SQL, as far as the guard needs to tell them apart. */
export interface Token {
  readonly kind: 'word' | 'quoted' | 'string' | 'number' | 'sign' | 'parameter';
  /** Words and quoted identifiers without quotes; parameters as `name:Type`. */
  readonly text: string;
  /** Where it ends in the query. */
  readonly end: number;
}

/** The text cannot be cut into tokens the way ClickHouse would, so nobody can say what it does. */
export class UnreadableSql extends Error {}

const RULES: readonly (readonly [Token['kind'] | 'nothing', RegExp])[] = [
  ['nothing', /\s+|--[^\n]*|#(?=[ !])[^\n]*|\/\*[\s\S]*?\*\//],
  ['word', /[A-Za-z_][A-Za-z0-9_$]*/],
  ['string', /'(?:[^'\\]|\\[\s\S]|'')*'|\$(?<tag>[A-Za-z0-9_]*)\$[\s\S]*?\$\k<tag>\$/],
  // With a backslash a quoted identifier could spell any name; nobody needs one.
  ['quoted', /`(?:[^`\\]|``)*`|"(?:[^"\\]|"")*"/],
  ['parameter', /\{\s*[A-Za-z_][A-Za-z0-9_]*\s*:[^{}]*\}/],
  ['number', /[0-9][A-Za-z0-9_.]*/],
  ['sign', /[-+*/%=<>!,.;:?()[\]{}|&^~@]/],
];

/** All rules as one expression: trying them one by one costs too much on a long query. */
const TOKEN = new RegExp(RULES.map(([kind, rule]) => `(?<${kind}>${rule.source})`).join('|'), 'y');

/** @throws UnreadableSql at the first place no rule fits (an open quote, an unusual sign) */
export function tokensOf(sql: string): Token[] {
  const tokens: Token[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < sql.length) {
    const at = TOKEN.lastIndex;
    const groups = TOKEN.exec(sql)?.groups;
    if (!groups)
      throw new UnreadableSql(`cannot be read at position ${at + 1}: ${JSON.stringify(sql.slice(at, at + 20))}`);
    for (const [kind] of RULES) {
      const text = groups[kind];
      if (text === undefined) continue;
      if (kind !== 'nothing') tokens.push({ kind, text: bare(kind, text), end: TOKEN.lastIndex });
      break;
    }
  }
  return tokens;
}

function bare(kind: Token['kind'], text: string): string {
  if (kind === 'parameter') return text.slice(1, -1).replace(/\s/g, '');
  if (kind !== 'quoted') return text;
  const quote = text[0] as string;
  return text.slice(1, -1).replaceAll(quote + quote, quote);
}
