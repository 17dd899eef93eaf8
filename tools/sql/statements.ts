/** What is between statements and does not end one: strings, quoted names, comments. */
const WHOLE =
  /'(?:[^'\\]|\\[\s\S]|'')*'|"(?:[^"\\]|\\[\s\S]|"")*"|`(?:[^`\\]|\\[\s\S]|``)*`|--[^\n]*|\/\*[\s\S]*?\*\/|;|[^'"`;/-]+|[\s\S]/gy;
const OPENS = /^(?:['"`]|\/\*)$/;

/**
 * Cuts a text at semicolons that end a statement.
 * @returns the statements, and what follows the last semicolon: a statement that is not finished yet, or nothing
 */
export function splitStatements(text: string): { statements: string[]; rest: string } {
  const statements: string[] = [];
  let current = '';
  WHOLE.lastIndex = 0;
  for (let found = WHOLE.exec(text); found !== null; found = WHOLE.exec(text)) {
    const [piece] = found;
    // A quote or comment that is not closed: the rest belongs to it.
    if (OPENS.test(piece) || (piece === '/' && text[found.index + 1] === '*'))
      return { statements, rest: current + text.slice(found.index) };
    if (piece === ';') {
      if (isSomething(current)) statements.push(current.trim());
      current = '';
    } else current += piece;
  }
  return { statements, rest: isSomething(current) ? current : '' };
}

const isSomething = (sql: string): boolean => sql.replace(/--[^\n]*|\/\*[\s\S]*?\*\//g, '').trim() !== '';
