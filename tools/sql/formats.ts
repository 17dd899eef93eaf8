import { basename } from 'node:path';

/** Short names; any name ClickHouse knows is taken as well. */
const SHORT: Readonly<Record<string, string | undefined>> = {
  __proto__: null as never,
  table: 'PrettyCompactMonoBlock',
  vertical: 'Vertical',
  markdown: 'Markdown',
  csv: 'CSVWithNames',
  tsv: 'TabSeparatedWithNames',
  json: 'JSON',
  jsonl: 'JSONEachRow',
  parquet: 'Parquet',
  arrow: 'Arrow',
};
/** Of these names a terminal makes nothing. */
const BINARY = /^(Native|RowBinary|Parquet|Arrow|ORC|Avro|MsgPack|BSON|Npy|Protobuf)/i;

export const SHORT_FORMATS = Object.keys(SHORT).join(', ');

/** @throws Error naming what is known */
export function formatNamed(name: string): string {
  const format = SHORT[name.toLowerCase()] ?? name;
  if (!/^[A-Za-z]\w{1,40}$/.test(format))
    throw new Error(`--format: ${name} is no format; ${SHORT_FORMATS}, or a name ClickHouse knows`);
  return format;
}

export const isBinary = (format: string): boolean => BINARY.test(format);

const EXPORTED = ['parquet', 'csv', 'tsv', 'jsonl', 'arrow'];

export interface ExportFile {
  readonly format: string;
  readonly gzip: boolean;
}

/** By the ending of a file's name. @throws Error naming the endings there are */
export function exportFormat(file: string): ExportFile {
  const gzip = file.endsWith('.gz');
  const ending = /\.([a-z]+)$/.exec(basename(gzip ? file.slice(0, -3) : file).toLowerCase())?.[1] ?? '';
  const packed = ['parquet', 'arrow'].includes(ending) && gzip;
  if (!EXPORTED.includes(ending) || packed) {
    const endings = EXPORTED.map((each) => `.${each}`).join(', ');
    throw new Error(`--export: ${basename(file)} must end in ${endings}, or .csv.gz, .tsv.gz, .jsonl.gz`);
  }
  return { format: formatNamed(ending), gzip };
}
