import { parseArgs } from 'node:util';
import { type FieldKind, type FieldRole, type FieldSpec, fieldsOfColumn, LEVELS } from '#lib/matching/fields.ts';
import { MATCH_OPTIONS } from '#lib/matching/match.ts';

export interface Options {
  /** Undefined: the customers of the shop. */
  readonly file: string | undefined;
  readonly delimiter: string;
  /** Columns that name a customer in Recur, and as what. */
  readonly identifiers: readonly { readonly column: string; readonly type: string }[];
  readonly fields: readonly FieldSpec[];
  readonly ignored: readonly string[];
  readonly precision: number;
  readonly reviewFrom: number;
  readonly out: string;
  readonly values: boolean;
  readonly propose: boolean;
  readonly accept: boolean;
  readonly again: boolean;
  readonly quiet: boolean;
  /** Everything the result depends on but the customers themselves. */
  readonly settings: string;
  readonly data: string | undefined;
}

const ROLES: readonly string[] = ['person', 'family', 'household'] satisfies FieldRole[];
const IDENTIFIER_TYPE = /^[a-z][a-z0-9_]{0,31}$/;

/** @returns undefined when only help is wanted @throws Error naming the option, its value and the rule */
export function readOptions(args: readonly string[]): Options | undefined {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      shop: { type: 'boolean', default: false },
      id: { type: 'string', multiple: true, default: [] },
      field: { type: 'string', multiple: true, default: [] },
      ignore: { type: 'string', multiple: true, default: [] },
      delimiter: { type: 'string', default: ',' },
      precision: { type: 'string', default: String(MATCH_OPTIONS.precision) },
      'review-from': { type: 'string', default: String(MATCH_OPTIONS.reviewFrom) },
      out: { type: 'string', default: '.data/match' },
      values: { type: 'boolean', default: false },
      propose: { type: 'boolean', default: false },
      accept: { type: 'boolean', default: false },
      again: { type: 'boolean', default: false },
      quiet: { type: 'boolean', default: false },
      data: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return undefined;
  const [file, ...more] = positionals;
  if (more.length > 0) throw new Error(`one file at a time, not ${positionals.join(' ')}`);
  if ((file === undefined) !== values.shop) throw new Error('name a CSV file, or --shop for the customers of the shop');
  if (values.shop && values.id.length > 0) throw new Error('--id: customers of the shop are known without');
  const identifiers = values.id.map(identifierOf);
  const propose = values.propose || values.accept;
  if (propose && !values.shop && identifiers.length === 0) {
    throw new Error('--propose: say which column names a customer, e.g. --id customer_no=user_id');
  }
  const { id, field, ignore, delimiter, precision, 'review-from': reviewFrom } = values;
  return {
    file,
    delimiter,
    identifiers,
    fields: field.map(fieldOf),
    ignored: ignore,
    precision: share('precision', precision),
    reviewFrom: share('review-from', reviewFrom),
    out: values.out,
    values: values.values,
    propose,
    accept: values.accept,
    again: values.again,
    quiet: values.quiet,
    settings: JSON.stringify({ id, field, ignore, delimiter, precision, reviewFrom }),
    data: values.data,
  };
}

/** The fields of these columns: as told, or by their names. */
export function fieldsOf(columns: readonly string[], { fields, ignored, identifiers }: Options): FieldSpec[] {
  const absent = [...fields.map((f) => f.column), ...ignored, ...identifiers.map((i) => i.column)].filter(
    (c) => !columns.includes(c),
  );
  if (absent.length > 0) throw new Error(`there is no column ${absent.join(', ')}. There are: ${columns.join(', ')}`);
  const specs = columns.flatMap((column) => {
    if (ignored.includes(column)) return [];
    const told = fields.filter((f) => f.column === column);
    return told.length > 0 ? told : fieldsOfColumn(column);
  });
  if (specs.length > 0) return specs;
  throw new Error(`no column is known by its name: use --field. There are: ${columns.join(', ')}`);
}

function identifierOf(text: string): { column: string; type: string } {
  const at = text.lastIndexOf('=');
  const [column, type] = [text.slice(0, at), text.slice(at + 1)];
  if (at > 0 && IDENTIFIER_TYPE.test(type)) return { column, type };
  throw new Error(`--id: "${text}" must be COLUMN=TYPE, e.g. customer_no=user_id`);
}

function fieldOf(text: string): FieldSpec {
  const [column = '', rest = ''] = text.split('=');
  const [kind = '', role = 'household', exchange] = rest.split(':');
  if (column === '' || !(kind in LEVELS) || !ROLES.includes(role)) {
    throw new Error(
      `--field: "${text}" must be COLUMN=KIND[:ROLE[:EXCHANGE]], KIND one of ${Object.keys(LEVELS).join(', ')}, ROLE one of ${ROLES.join(', ')}`,
    );
  }
  const spec = { name: column, column, kind: kind as FieldKind, role: role as FieldRole };
  return exchange === undefined ? spec : { ...spec, exchange };
}

function share(name: string, text: string): number {
  const value = Number(text);
  if (value > 0 && value < 1) return value;
  throw new Error(`--${name}: ${text} must be between 0 and 1`);
}
