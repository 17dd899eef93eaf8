import { EngineError, type ReadLimits } from '../engine/engine.ts';
import { codingFor } from './compression.ts';
import { EXPORT_LIMITS } from './spool.ts';

/** What a request of ClickHouse's HTTP interface asks for. */
export interface QueryRequest {
  readonly sql: string;
  readonly queryId: string | undefined;
  readonly format: string | undefined;
  readonly database: string;
  readonly params: Readonly<Record<string, string>>;
  readonly settings: Readonly<Record<string, string>>;
  readonly limits: ReadLimits;
  /** The result may be large: it is written to disk first, within EXPORT_LIMITS. */
  readonly exported: boolean;
  /** What the client takes compressed, by Accept-Encoding; undefined: as it is. */
  readonly coding: string | undefined;
  /** Of the Native format; 0 when the client names none. */
  readonly nativeRevision: number;
  readonly user: string;
  readonly password: string;
}

/** Bounds of one query; a request may ask for less. */
export const READ_LIMITS: ReadLimits = {
  seconds: 30,
  memoryBytes: 1 << 30,
  resultRows: 1_000_000,
  resultBytes: 64 << 20,
  threads: 1,
};

/** ClickHouse's own bound (max_query_size). */
export const MAX_SQL_BYTES = 262_144;
const MAX_PARAMS = 100;

/** About transport, sessions or other layers; nothing here depends on them. */
const IGNORED =
  /^(query|query_id|database|default_format|user|password|export|network_compression_method|network_zstd_compression_level|buffer_size|wait_end_of_query|enable_http_compression|http_\w+|send_progress_in_http_headers|session_id|session_timeout|session_check|quota_key|role|stacktrace|client_protocol_version|close_session|log_comment|log_queries|readonly|max_threads|result_overflow_mode|add_http_cors_header|cancel_http_readonly_queries_on_client_close)$/;
/** How a result looks, and nothing else. */
const ALLOWED =
  /^(output_format_\w+|format_csv_delimiter|format_\w+_null_representation|date_time_output_format|session_timezone|extremes|join_use_nulls|limit|offset|max_block_size|use_client_time_zone|interactive_delay|allow_experimental_analyzer|enable_analyzer|prefer_column_name_to_alias|final)$/;

/**
 * @param search of the URL
 * @param body of a POST, already read; empty for GET
 * @throws EngineError in ClickHouse's terms
 */
export function parseRequest(
  search: URLSearchParams,
  headers: Readonly<Record<string, string | string[] | undefined>>,
  body: string,
): QueryRequest {
  const sql = [search.get('query') ?? '', body].filter((part) => part !== '').join('\n');
  if (Buffer.byteLength(sql) > MAX_SQL_BYTES)
    throw new EngineError(62, 'SYNTAX_ERROR', `Max query size exceeded (${MAX_SQL_BYTES} bytes)`);
  const header = (name: string): string | undefined => {
    const value = headers[name];
    return typeof value === 'string' && value !== '' ? value : undefined;
  };
  if (/^multipart\//i.test(header('content-type') ?? ''))
    throw new EngineError(48, 'NOT_IMPLEMENTED', 'External tables (multipart/form-data) are not supported here');
  for (const name of ['compress', 'decompress']) {
    // ClickHouse's own framing needs a checksum nobody else uses; whoever asks for it cannot read anything else.
    if (isOn(search.get(name)))
      throw new EngineError(
        48,
        'NOT_IMPLEMENTED',
        `${name}=1 (blocks of LZ4 or ZSTD) is not supported here: turn compression off in the client, or choose gzip`,
      );
  }
  const exported = isOn(search.get('export'));
  const [params, settings, limits] = readSettings(search, exported ? EXPORT_LIMITS : READ_LIMITS);
  const database = search.get('database') ?? header('x-clickhouse-database') ?? 'recur';
  if (!['recur', 'default'].includes(database))
    throw new EngineError(81, 'UNKNOWN_DATABASE', `Database ${database.slice(0, 64)} does not exist`);
  const format = search.get('default_format') ?? header('x-clickhouse-format');
  if (format !== undefined && !/^\w{1,64}$/.test(format))
    throw new EngineError(73, 'UNKNOWN_FORMAT', `Unknown format ${format.slice(0, 64)}`);
  const [basicUser, basicPassword] = authorization(header('authorization'));
  return {
    sql,
    queryId: search.get('query_id') ?? undefined,
    format,
    database,
    params,
    settings,
    limits,
    exported,
    coding: isOn(search.get('enable_http_compression')) ? codingFor(header('accept-encoding')) : undefined,
    nativeRevision: Math.max(0, Math.trunc(Number(search.get('client_protocol_version') ?? 0)) || 0),
    user: search.get('user') ?? header('x-clickhouse-user') ?? basicUser,
    password: search.get('password') ?? header('x-clickhouse-key') ?? basicPassword,
  };
}

const isOn = (value: string | null): boolean => value === '1' || value === 'true';

function readSettings(
  search: URLSearchParams,
  most: ReadLimits,
): [Record<string, string>, Record<string, string>, ReadLimits] {
  const params: Record<string, string> = Object.create(null) as Record<string, string>;
  const settings: Record<string, string> = Object.create(null) as Record<string, string>;
  let limits = most;
  let count = 0;
  for (const [name, value] of search) {
    if (++count > MAX_PARAMS) throw new EngineError(36, 'BAD_ARGUMENTS', `More than ${MAX_PARAMS} URL parameters`);
    const param = /^param_([A-Za-z_][A-Za-z0-9_]{0,63})$/.exec(name)?.[1];
    if (param !== undefined) params[param] = value;
    else if (IN_LIMITS[name]) limits = lower(limits, IN_LIMITS[name], name, value);
    else if (ALLOWED.test(name)) settings[name] = value;
    else if (!IGNORED.test(name))
      throw new EngineError(164, 'READONLY', `Cannot modify '${name.slice(0, 64)}' setting in readonly mode`);
  }
  return [params, settings, limits];
}

const IN_LIMITS: Readonly<Record<string, keyof ReadLimits | undefined>> = {
  __proto__: null as never,
  max_execution_time: 'seconds',
  max_memory_usage: 'memoryBytes',
  max_result_rows: 'resultRows',
  max_result_bytes: 'resultBytes',
};

/** 0 means no limit in ClickHouse: here it means ours. */
function lower(limits: ReadLimits, key: keyof ReadLimits, name: string, text: string): ReadLimits {
  const value = Number(text);
  if (text.trim() === '' || !(value >= 0))
    throw new EngineError(
      72,
      'CANNOT_PARSE_NUMBER',
      `Setting ${name}: ${JSON.stringify(text.slice(0, 40))} is not a number`,
    );
  return value === 0 ? limits : { ...limits, [key]: Math.min(limits[key], value) };
}

function authorization(header: string | undefined): [user: string, password: string] {
  const bearer = /^Bearer (\S+)$/i.exec(header ?? '')?.[1];
  if (bearer !== undefined) return ['default', bearer];
  const encoded = /^Basic ([A-Za-z0-9+/=]+)$/i.exec(header ?? '')?.[1];
  if (encoded === undefined) return ['default', ''];
  const text = Buffer.from(encoded, 'base64').toString();
  const colon = text.indexOf(':');
  return colon < 0 ? [text, ''] : [text.slice(0, colon), text.slice(colon + 1)];
}
