/**
 * What analytics wants from ClickHouse. ChdbEngine runs it inside this process; ServerEngine talks to a server or cluster.
 */
export interface Engine {
  /** Inserts worth having under way at once. */
  readonly insertsAtOnce: number;

  /** Of ClickHouse, `26.7.2.1`. */
  version(): Promise<string>;

  /** Runs one statement that returns nothing of interest (DDL, small inserts). @param database of names without one */
  command(sql: string, database?: string): Promise<void>;

  /**
   * Rows of a query over our own tables, as objects; 64-bit integers come as strings, decimals and dates as text.
   * `params` fill `{name:Type}` placeholders.
   */
  rows<T>(sql: string, params?: Params): Promise<T[]>;

  /**
   * Inserts one Native block with these columns as one part: all rows or none. After an error it is unknown which of the two
   * happened; the caller looks.
   */
  insert(table: string, columns: readonly string[], block: Uint8Array): Promise<void>;

  /** Somebody else's query: read-only, within `limits`, on a connection of its own. @throws EngineError */
  read(request: ReadRequest): Promise<ReadResult>;

  /**
   * The same, but the result goes into a file on this machine, so that its size is no matter of memory.
   * @param file a new one, absolute; the caller deletes it, also after an error
   */
  readInto(file: string, request: ReadRequest): Promise<Omit<ReadResult, 'body'>>;

  close(): Promise<void>;
}

export type Params = Readonly<Record<string, string | number | readonly string[]>>;

export interface ReadRequest {
  readonly sql: string;
  /** Used when the query names none. */
  readonly format: string;
  readonly database: string;
  /** Text of each parameter, as in the HTTP interface's `param_<name>`. */
  readonly params: Readonly<Record<string, string>>;
  /** Already checked against the allow-list. */
  readonly settings: Readonly<Record<string, string>>;
  readonly limits: ReadLimits;
}

export interface ReadLimits {
  readonly seconds: number;
  readonly memoryBytes: number;
  readonly resultRows: number;
  readonly resultBytes: number;
  readonly threads: number;
}

export interface ReadResult {
  readonly body: Uint8Array;
  readonly rowsRead: number;
  readonly bytesRead: number;
  readonly seconds: number;
}

/** An exception of ClickHouse: its number, its name and its text. */
export class EngineError extends Error {
  readonly code: number;
  readonly type: string;

  constructor(code: number, type: string, message: string) {
    super(message);
    this.name = 'EngineError';
    this.code = code;
    this.type = type;
  }

  /** From ClickHouse's own text, `Code: 62. DB::Exception: … (SYNTAX_ERROR)`. */
  static parse(text: string): EngineError {
    const found =
      /^Code: (\d+)\.\s+DB::Exception: ([\s\S]*)\s\(([A-Z][A-Z0-9_]+)\)\s*(?:\(version[^)]*\)\.?\s*)?$/.exec(text);
    if (!found) return new EngineError(1001, 'STD_EXCEPTION', text);
    return new EngineError(Number(found[1]), found[3] as string, found[2] as string);
  }

  /** As ClickHouse writes it. */
  get text(): string {
    return `Code: ${this.code}. DB::Exception: ${this.message} (${this.type})`;
  }
}

export const quote = (text: string): string => `'${text.replace(/\\/g, '\\\\').replace(/'/g, "\\'")}'`;

/** A value as the text of a parameter. ClickHouse reads a single one as a field of TabSeparated, a list as it stands. */
export const parameterText = (value: Params[string]): string =>
  typeof value === 'object'
    ? `[${value.map(quote).join(',')}]`
    : String(value).replaceAll('\\', '\\\\').replaceAll('\t', '\\t').replaceAll('\n', '\\n').replaceAll('\r', '\\r');
