/**
 * ClickHouse's Native format has revisions: a client that names one (client_protocol_version) expects a header before each
 * block and a byte before each column's data. The embedded engine writes revision 0 only; this adds what is missing. Clients in
 * Go (and with them Grafana's data source) speak nothing else.
 */

/** A column that cannot be walked: its length is only known to who understands it. */
export class UnknownNativeType extends Error {}

/** From here on a byte tells whether a column is serialised in a way of its own. */
const WITH_CUSTOM_SERIALISATION = 54_454;
/** BlockInfo: field 1 (overflows: no), field 2 (bucket number: -1), end. */
const BLOCK_INFO = Uint8Array.of(1, 0, 2, 0xff, 0xff, 0xff, 0xff, 0);

const WIDTHS: Readonly<Record<string, number>> = {
  __proto__: null as never,
  ...{ UInt8: 1, Int8: 1, Bool: 1, Enum8: 1, Nothing: 1, UInt16: 2, Int16: 2, Enum16: 2, Date: 2, BFloat16: 2 },
  ...{ UInt32: 4, Int32: 4, Float32: 4, DateTime: 4, Date32: 4, Time: 4, IPv4: 4, Decimal32: 4 },
  ...{ UInt64: 8, Int64: 8, Float64: 8, DateTime64: 8, Time64: 8, Decimal64: 8 },
  ...{ UInt128: 16, Int128: 16, UUID: 16, IPv6: 16, Decimal128: 16, UInt256: 32, Int256: 32, Decimal256: 32 },
};
/** Of LowCardinality: whether keys that belong to this block alone follow the dictionary. */
const HAS_ADDITIONAL_KEYS = 1n << 9n;

interface Type {
  readonly name: string;
  readonly args: readonly string[];
}

/**
 * @param body blocks in revision 0, one after the other
 * @throws UnknownNativeType for types with a serialisation of their own (JSON, Dynamic, Variant, AggregateFunction)
 */
export function withRevision(body: Uint8Array, revision: number): Uint8Array {
  if (revision <= 0) return body;
  const parts: Uint8Array[] = [];
  const walk = new Walk(body);
  while (walk.at < body.length) {
    parts.push(BLOCK_INFO);
    let from = walk.at;
    const columns = walk.varint();
    const rows = walk.varint();
    for (let i = 0; i < columns; i++) {
      walk.text();
      const type = walk.text();
      if (revision >= WITH_CUSTOM_SERIALISATION) {
        parts.push(body.subarray(from, walk.at), Uint8Array.of(0));
        from = walk.at;
      }
      if (rows > 0) walk.column(type, rows);
    }
    parts.push(body.subarray(from, walk.at));
  }
  return Buffer.concat(parts);
}

class Walk {
  at = 0;
  readonly #body: Buffer;

  constructor(body: Uint8Array) {
    this.#body = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  }

  varint(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.#body.readUInt8(this.at++);
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  }

  text(): string {
    const length = this.varint();
    this.#skip(length);
    return this.#body.toString('utf8', this.at - length, this.at);
  }

  column(type: string, rows: number): void {
    this.#prefix(type);
    this.#data(type, rows);
  }

  #skip(bytes: number): void {
    this.at += bytes;
    if (this.at > this.#body.length) throw new RangeError('a Native block ends in the middle of a column');
  }

  #u64(): bigint {
    const value = this.#body.readBigUInt64LE(this.at);
    this.at += 8;
    return value;
  }

  /** What stands before the data of the whole column: the version of each dictionary. */
  #prefix(text: string): void {
    const { name, args } = typeOf(text);
    if (name === 'LowCardinality') this.#skip(8);
    else for (const inner of nested(name, args)) this.#prefix(inner);
  }

  #data(text: string, rows: number): void {
    const { name, args } = typeOf(text);
    const [first = ''] = args;
    const width = WIDTHS[name] ?? (name.startsWith('Interval') ? 8 : undefined);
    if (width !== undefined) return void this.#skip(width * rows);
    switch (name) {
      case 'String':
        for (let i = 0; i < rows; i++) this.#skip(this.varint());
        return;
      case 'FixedString':
        return void this.#skip(Number(first) * rows);
      case 'Decimal':
        return void this.#skip(decimalWidth(Number(first)) * rows);
      case 'Nullable':
        this.#skip(rows);
        return void this.#data(first, rows);
      case 'LowCardinality':
        return void this.#lowCardinality(first, rows);
      case 'Array':
      case 'Map':
        return void this.#list(nested(name, args), rows);
      default:
        for (const inner of nested(name, args)) this.#data(inner, rows);
    }
  }

  #list(inner: readonly string[], rows: number): void {
    if (rows === 0) return;
    this.#skip(8 * (rows - 1));
    const items = Number(this.#u64());
    for (const type of inner) this.#data(type, items);
  }

  #lowCardinality(type: string, rows: number): void {
    if (rows === 0) return;
    const flags = this.#u64();
    if ((flags & HAS_ADDITIONAL_KEYS) === 0n)
      throw new UnknownNativeType('a LowCardinality with a dictionary elsewhere');
    const keys = Number(this.#u64());
    const { name, args } = typeOf(type);
    this.#data(name === 'Nullable' ? (args[0] ?? '') : type, keys);
    const indexes = Number(this.#u64());
    this.#skip(indexes * 2 ** Number(flags & 255n));
  }
}

/** Types a type is made of, in the order of their data. */
function nested(name: string, args: readonly string[]): readonly string[] {
  switch (name) {
    case 'Array':
    case 'Nullable':
    case 'Map':
      return args;
    case 'Tuple':
      return args.map((each) => /^(?:[A-Za-z_]\w*|`[^`]*`) (.+)$/s.exec(each)?.[1] ?? each);
    case 'SimpleAggregateFunction':
      return args.slice(1);
    case 'Point':
      return ['Float64', 'Float64'];
    default:
      if (WIDTHS[name] !== undefined || name.startsWith('Interval')) return [];
      if (['String', 'FixedString', 'Decimal', 'LowCardinality'].includes(name)) return [];
      throw new UnknownNativeType(name);
  }
}

/** Bytes of a decimal with so many digits. */
const decimalWidth = (digits: number): number => (digits <= 9 ? 4 : digits <= 18 ? 8 : digits <= 38 ? 16 : 32);

const known = new Map<string, Type>();

function typeOf(text: string): Type {
  const before = known.get(text);
  if (before) return before;
  const open = text.indexOf('(');
  const type =
    open < 0 ? { name: text, args: [] } : { name: text.slice(0, open), args: split(text.slice(open + 1, -1)) };
  if (known.size < 1_000) known.set(text, type);
  return type;
}

/** At commas that stand in no brackets and no quotes. */
function split(text: string): string[] {
  const parts: string[] = [];
  let [from, depth] = [0, 0];
  for (let i = 0; i < text.length; i++) {
    const sign = text[i];
    if (sign === "'" || sign === '`') for (i++; i < text.length && text[i] !== sign; i++) if (text[i] === '\\') i++;
    if (sign === '(') depth++;
    if (sign === ')') depth--;
    if (sign === ',' && depth === 0) {
      parts.push(text.slice(from, i).trim());
      from = i + 1;
    }
  }
  return [...parts, text.slice(from).trim()];
}
