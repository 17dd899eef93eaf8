import { appendFileSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { ask, type Endpoint, type SqlError, textOf } from './endpoint.ts';
import { formatNamed } from './formats.ts';
import { splitStatements } from './statements.ts';

export interface PromptParts {
  readonly endpoint: Endpoint;
  readonly format: string;
  readonly params: Readonly<Record<string, string>>;
  readonly input: NodeJS.ReadStream;
  readonly output: NodeJS.WriteStream;
  /** Where what was typed is remembered; undefined: nowhere. */
  readonly historyFile: string | undefined;
}

const COMMANDS = `  \\d            tables and views          \\d NAME       columns of one
  \\f FORMAT     another format            \\q            ends it (so does Ctrl-D)
  Statements end with ; and may have several lines. Ctrl-C cancels a query.`;

const WORDS =
  'SELECT FROM WHERE GROUP BY ORDER HAVING LIMIT WITH JOIN LEFT INNER UNION ALL AND OR NOT IN BETWEEN DESC SHOW TABLES DESCRIBE EXPLAIN FORMAT count sum avg uniqExact countIf sumIf toDate toStartOfMonth'.split(
    ' ',
  );
const REMEMBERED = 1_000;

/** A prompt, until the end of the input. */
export async function runPrompt(parts: PromptParts): Promise<void> {
  const { endpoint, output, historyFile } = parts;
  const names = await namesOf(endpoint);
  const readline = createInterface({
    input: parts.input,
    output,
    history: historyOf(historyFile),
    historySize: REMEMBERED,
    completer: (line: string) => complete(line, names),
  });
  output.write(`Recur's tables at ${endpoint.url}; \\? helps.\n`);
  let format = parts.format;
  let pending = '';
  let running: AbortController | undefined;
  readline.on('SIGINT', () => {
    running?.abort();
    pending = '';
    output.write('\n');
    readline.prompt();
  });
  const show = (prompt: string) => {
    readline.setPrompt(prompt);
    readline.prompt();
  };
  show('recur> ');
  for await (const line of readline) {
    const command = pending === '' ? /^\s*\\(\S)\s*(.*?);?\s*$/.exec(line) : null;
    if (command?.[1] === 'q' || (pending === '' && /^\s*(exit|quit);?\s*$/i.test(line))) break;
    remember(historyFile, line);
    const { statements, rest } = command ? { statements: [], rest: '' } : splitStatements(`${pending}${line}\n`);
    pending = rest;
    running = new AbortController();
    if (command?.[1] === 'f') format = setFormat(command[2] ?? '', format, output);
    else if (command) statements.push(...catalogueOf(command, output));
    for (const sql of statements)
      await answer(endpoint, { sql, format, params: parts.params, signal: running.signal }, output);
    running = undefined;
    show(pending === '' ? 'recur> ' : '    -> ');
  }
  readline.close();
}

function catalogueOf([, letter, name = '']: RegExpExecArray, output: NodeJS.WriteStream): string[] {
  if (letter === 'd' && name !== '')
    return [
      `SELECT name, type, comment FROM system.columns WHERE database = 'recur' AND table = '${name.replace(/[^\w]/g, '')}' ORDER BY position`,
    ];
  if (letter === 'd')
    return [
      "SELECT name, if(engine = 'View', 'view', 'table') AS kind, comment FROM system.tables WHERE database = 'recur' ORDER BY kind, name",
    ];
  output.write(`${COMMANDS}\n`);
  return [];
}

function setFormat(name: string, before: string, output: NodeJS.WriteStream): string {
  try {
    return formatNamed(name);
  } catch (error) {
    output.write(`${(error as Error).message.replace('--format: ', '')}\n`);
    return before;
  }
}

async function answer(
  endpoint: Endpoint,
  question: { sql: string; format: string; params: Readonly<Record<string, string>>; signal: AbortSignal },
  output: NodeJS.WriteStream,
): Promise<void> {
  const started = performance.now();
  try {
    const { body } = await ask(endpoint, question);
    output.write(await new Response(body).text());
    output.write(`${((performance.now() - started) / 1_000).toFixed(2)} s\n`);
  } catch (error) {
    const { message, hint } = error as SqlError;
    output.write(`${message}\n${hint === undefined ? '' : `→ ${hint}\n`}`);
  }
}

/** Tables, views and their columns. */
async function namesOf(endpoint: Endpoint): Promise<string[]> {
  const sql = "SELECT DISTINCT arrayJoin([table, name]) FROM system.columns WHERE database = 'recur' ORDER BY 1";
  const text = await textOf(endpoint, { sql, format: 'TabSeparated', params: {} });
  return [...text.split('\n').filter((name) => name !== ''), ...WORDS];
}

function complete(line: string, names: readonly string[]): [string[], string] {
  const word = /[\w.]*$/.exec(line)?.[0] ?? '';
  const bare = word.replace(/^recur\./, '').toLowerCase();
  return [bare === '' ? [] : names.filter((name) => name.toLowerCase().startsWith(bare)), word];
}

function historyOf(file: string | undefined): string[] {
  if (file === undefined) return [];
  try {
    return readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .slice(-REMEMBERED)
      .reverse();
  } catch {
    return [];
  }
}

function remember(file: string | undefined, line: string): void {
  if (file === undefined || line.trim() === '') return;
  mkdirSync(dirname(file), { recursive: true });
  appendFileSync(file, `${line}\n`, { mode: 0o600 });
}
