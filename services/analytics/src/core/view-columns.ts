import { parse } from 'yaml';

/** What columns of views mean, by column, by view and by beginning of the view's name: views/columns.yaml. */
export interface ColumnDocs {
  readonly columns: Readonly<Record<string, string>>;
  readonly views: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly families: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

/** A column of a table or view, as ClickHouse tells it. */
export interface DescribedColumn {
  readonly table: string;
  readonly name: string;
  readonly type: string;
  readonly comment: string;
}

export function parseColumnDocs(text: string): ColumnDocs {
  const { columns = {}, views = {}, families = {} } = parse(text, { merge: true }) as Partial<ColumnDocs>;
  return { columns, views, families };
}

/** What tables say of a column of this name, where all that have one say the same. */
export function agreedComments(tables: readonly DescribedColumn[]): Map<string, string> {
  const agreed = new Map<string, string>();
  for (const { name, comment } of tables) {
    const before = agreed.get(name);
    agreed.set(name, before === undefined || before === comment ? comment : '');
  }
  return agreed;
}

/** The view itself, or the one it is the twin of. */
const originalOf = (view: string): string => view.replace(/_as_of$/, '');

export function commentOf(view: string, column: string, docs: ColumnDocs, agreed: ReadonlyMap<string, string>): string {
  const family = Object.entries(docs.families).find(
    ([prefix, columns]) => view.startsWith(prefix) && column in columns,
  );
  const own = docs.views[originalOf(view)]?.[column] ?? family?.[1][column];
  return own ?? docs.columns[column] ?? agreed.get(column) ?? '';
}

const text = (value: string): string => `'${value.replace(/\\/g, '\\\\').replace(/'/g, "\\'")}'`;

/** One statement a view, for those whose columns ClickHouse knows without parameters. */
export function commentStatements(
  views: readonly DescribedColumn[],
  docs: ColumnDocs,
  agreed: ReadonlyMap<string, string>,
): string[] {
  const changes = new Map<string, string[]>();
  for (const { table, name, comment } of views) {
    const wanted = commentOf(table, name, docs, agreed);
    if (wanted === '' || wanted === comment) continue;
    changes.set(table, [...(changes.get(table) ?? []), `COMMENT COLUMN \`${name}\` ${text(wanted)}`]);
  }
  return [...changes].map(([view, list]) => `ALTER TABLE recur.${view} ${list.join(', ')}`);
}
