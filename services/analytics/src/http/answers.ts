import type { EngineError } from '../engine/engine.ts';

const JSON_TYPE = 'application/json; charset=UTF-8';
const TEXT_TYPE = 'text/plain; charset=UTF-8';

/** Content type by format, as ClickHouse answers. */
export function contentTypeOf(format: string): string {
  if (/^JSONEachRow|^JSON(Compact|Strings|Objects)*EachRow/i.test(format)) return 'application/x-ndjson; charset=UTF-8';
  if (/^JSON/i.test(format)) return JSON_TYPE;
  if (/^(TabSeparated|TSV)/i.test(format)) return 'text/tab-separated-values; charset=UTF-8';
  if (/^CSVWithNames/i.test(format)) return 'text/csv; charset=UTF-8; header=present';
  if (/^CSV/i.test(format)) return 'text/csv; charset=UTF-8; header=absent';
  if (/^(Native|RowBinary|Parquet|Arrow|ORC|Avro|MsgPack|Protobuf|BSON|Npy)/i.test(format))
    return 'application/octet-stream';
  if (/^XML$/i.test(format)) return 'application/xml; charset=UTF-8';
  return TEXT_TYPE;
}

const STATUS: readonly (readonly [number, readonly string[]])[] = [
  [401, ['REQUIRED_PASSWORD']],
  [403, ['UNKNOWN_USER', 'WRONG_PASSWORD', 'AUTHENTICATION_FAILED', 'ACCESS_DENIED', 'SET_NON_GRANTED_ROLE']],
  [
    404,
    [
      'UNKNOWN_TABLE',
      'UNKNOWN_DATABASE',
      'UNKNOWN_FUNCTION',
      'UNKNOWN_IDENTIFIER',
      'UNKNOWN_TYPE',
      'UNKNOWN_STORAGE',
      'UNKNOWN_SETTING',
      'UNKNOWN_FORMAT',
      'UNKNOWN_AGGREGATE_FUNCTION',
      'UNKNOWN_ELEMENT_IN_AST',
    ],
  ],
  [408, ['TIMEOUT_EXCEEDED', 'SOCKET_TIMEOUT']],
  [413, ['QUERY_IS_TOO_LARGE']],
  [501, ['NOT_IMPLEMENTED', 'SUPPORT_IS_DISABLED']],
  [503, ['TOO_MANY_SIMULTANEOUS_QUERIES']],
  [
    400,
    [
      'SYNTAX_ERROR',
      'TYPE_MISMATCH',
      'INCORRECT_DATA',
      'CANNOT_DECOMPRESS',
      'ILLEGAL_TYPE_OF_ARGUMENT',
      'ILLEGAL_AGGREGATION',
      'NUMBER_OF_ARGUMENTS_DOESNT_MATCH',
      'BAD_ARGUMENTS',
      'UNKNOWN_QUERY_PARAMETER',
      'BAD_QUERY_PARAMETER',
      'NOT_AN_AGGREGATE',
      'AMBIGUOUS_IDENTIFIER',
      'UNEXPECTED_AST_STRUCTURE',
      'TOO_DEEP_AST',
      'TOO_BIG_AST',
    ],
  ],
];

/** HTTP status of an exception, as ClickHouse maps them. */
export function statusOf(error: EngineError): number {
  if (/^CANNOT_PARSE/.test(error.type)) return 400;
  for (const [status, types] of STATUS) if (types.includes(error.type)) return status;
  return 500;
}
