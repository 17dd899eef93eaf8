import { type Token, tokensOf, UnreadableSql } from './sql-tokens.ts';

/** What a query may not do, with ClickHouse's number and name for it. */
export interface Refusal {
  readonly code: number;
  readonly type: string;
  readonly reason: string;
}

export interface Checked {
  /** The format the query asks for itself. */
  readonly format: string | undefined;
  /** Where its last word ends: semicolons and comments may follow. */
  readonly end: number;
}

export const isRefusal = (found: Checked | Refusal): found is Refusal => 'code' in found;

const READONLY = (reason: string): Refusal => ({ code: 164, type: 'READONLY', reason });
const DENIED = (reason: string): Refusal => ({ code: 497, type: 'ACCESS_DENIED', reason });
const SYNTAX = (reason: string): Refusal => ({ code: 62, type: 'SYNTAX_ERROR', reason });

const STATEMENTS = new Set(['select', 'with', 'show', 'describe', 'desc', 'explain', 'exists']);
const SHOWN = new Set([
  'tables',
  'databases',
  'columns',
  'create',
  'functions',
  'settings',
  'index',
  'indexes',
  'indices',
  'keys',
  'full',
  'extended',
  'fields',
  'views',
  'dictionaries',
]);

/**
 * Reach out of the database and are not stopped by `readonly`: refused wherever the name stands, because a function can be
 * called without parentheses (APPLY, arrayMap).
 */
const OUTSIDE = new Set([
  'file',
  'outfile',
  'infile',
  'showcertificate',
  'aiclassify',
  'aigenerate',
  'aiembed',
  'aiextract',
  'aitranslate',
  'naivebayesclassifier',
  'naivebayesclassifierwithallprobs',
  'naivebayesclassifierwithprob',
  'catboostevaluate',
]);

/** Table functions that read or write elsewhere, or run text as SQL. `readonly` stops most of them; this is the first door. */
const TABLE_FUNCTIONS = new Set(
  `arrowstream azureblobstorage azureblobstoragecluster cluster clusterallreplicas cosn deltalake deltalakeazure deltalakeazurecluster
  deltalakecluster deltalakelocal deltalakes3 deltalakes3cluster dictionary eval executable filecluster filesystem fuzzjson fuzzquery gcs
  hdfs hdfscluster hudi hudicluster iceberg icebergazure icebergazurecluster icebergcluster iceberghdfs iceberghdfscluster iceberglocal
  iceberglocalcluster icebergs3 icebergs3cluster input jdbc loop merge mergetreeanalyzeindexes mergetreeanalyzeindexesuuid mergetreeindex
  mergetreeprojection mergetreetextindex mongodb mysql odbc oss paimon paimonazure paimonazurecluster paimoncluster paimonhdfs
  paimonhdfscluster paimonlocal paimons3 paimons3cluster postgresql prometheusquery prometheusqueryrange python redis remote remotesecure
  s3 s3cluster sqlite timeseriesdata timeseriesmetrics timeseriessamples timeseriesselector timeseriestags url urlcluster viewexplain
  viewifpermitted ytsaurus`.split(/\s+/),
);

/** What tools ask to find their way; the rest of `system` tells about the machine and other people's queries. */
const SYSTEM_TABLES = new Set([
  'databases',
  'tables',
  'columns',
  'functions',
  'settings',
  'data_type_families',
  'table_engines',
  'table_functions',
  'formats',
  'time_zones',
  'one',
  'numbers',
  'numbers_mt',
  'zeros',
  'zeros_mt',
  'keywords',
  'build_options',
  'aggregate_function_combinators',
  'data_skipping_indices',
  'collations',
]);

/**
 * Whether a query of an analyst may run: one statement that reads, nothing that leaves the database. The engine's own
 * `readonly` stands behind this.
 */
export function checkQuery(sql: string, params: Readonly<Record<string, string>> = {}): Checked | Refusal {
  let tokens: Token[];
  try {
    tokens = tokensOf(sql);
  } catch (error) {
    if (error instanceof UnreadableSql) return SYNTAX(`the query ${error.message}`);
    throw error;
  }
  while (isSign(tokens.at(-1), ';')) tokens.pop();
  return refusalOf(tokens, params) ?? { format: formatOf(tokens), end: tokens.at(-1)?.end ?? 0 };
}

function refusalOf(tokens: readonly Token[], params: Readonly<Record<string, string>>): Refusal | undefined {
  const first = tokens.find((t) => !isSign(t, '('));
  if (!first) return SYNTAX('Empty query');
  if (first.kind !== 'word' || !STATEMENTS.has(first.text.toLowerCase())) {
    return READONLY(
      `Only SELECT, WITH, SHOW, DESCRIBE, EXPLAIN and EXISTS are allowed here, not ${first.text.slice(0, 40)}`,
    );
  }
  const second = tokens[tokens.indexOf(first) + 1];
  if (/^show$/i.test(first.text) && !SHOWN.has(second?.text.toLowerCase() ?? ''))
    return DENIED(`SHOW ${second?.text ?? ''} is not allowed here`);
  if (tokens.some((t) => isSign(t, ';'))) return SYNTAX('Multi-statements are not allowed');
  for (let i = 0; i < tokens.length; i++) {
    const refusal = refusalAt(tokens, i, params);
    if (refusal) return refusal;
  }
  return undefined;
}

function refusalAt(tokens: readonly Token[], i: number, params: Readonly<Record<string, string>>): Refusal | undefined {
  const token = tokens[i] as Token;
  if (token.kind === 'parameter') {
    const [name, type] = token.text.split(':', 2) as [string, string];
    // A type is words, numbers and texts; anything more is not a parameter.
    if (
      (type.match(/\w+/g) ?? []).some(
        (word) => OUTSIDE.has(word.toLowerCase()) || TABLE_FUNCTIONS.has(word.toLowerCase()),
      )
    ) {
      return DENIED(`Parameter ${name}: ${type.slice(0, 40)} is not a type`);
    }
    return type.toLowerCase() === 'identifier' && !isPlainName(params[name] ?? '')
      ? DENIED(
          `Parameter ${name}: an identifier given from outside must be a plain name, and not that of a system database or function`,
        )
      : undefined;
  }
  if (token.kind !== 'word' && token.kind !== 'quoted') return undefined;
  const name = token.text.toLowerCase();
  if (OUTSIDE.has(name)) return DENIED(`${token.text} is not allowed here`);
  if (TABLE_FUNCTIONS.has(name) && isSign(tokens[i + 1], '('))
    return DENIED(`Function ${token.text} is not allowed here`);
  if (name === 'system') {
    const table = isSign(tokens[i + 1], '.') ? tokens[i + 2] : undefined;
    const columns = table?.text.toLowerCase() ?? '';
    if (!SYSTEM_TABLES.has(columns))
      return DENIED(`system.${table?.text ?? ''} is not for analysts; these are: ${[...SYSTEM_TABLES].join(', ')}`);
  }
  return undefined;
}

const isSign = (token: Token | undefined, text: string): boolean => token?.kind === 'sign' && token.text === text;

const isPlainName = (name: string): boolean => {
  const lower = name.toLowerCase();
  return /^[a-z_][a-z0-9_]{0,126}$/.test(lower) && lower !== 'system' && !OUTSIDE.has(lower);
};

/** The format of the last FORMAT clause, when it ends the query (SETTINGS may follow). */
function formatOf(tokens: readonly Token[]): string | undefined {
  for (let i = tokens.length - 1; i > 0; i--) {
    const [word, format] = [tokens[i - 1], tokens[i]];
    if (word?.kind === 'word' && /^format$/i.test(word.text) && format?.kind === 'word') {
      const next = tokens[i + 1];
      if (next === undefined || /^settings$/i.test(next.text)) return format.text;
    }
  }
  return undefined;
}
