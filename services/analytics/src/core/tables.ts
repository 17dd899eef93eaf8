import { RecordKind } from '#gen/recur/log/v1/frame.ts';
import type { ColumnType } from './columns.ts';

/**
 * Which record of the log becomes a row of which table, and which field of it which column. Field numbers are those of
 * proto/recur/log/v1; the tables themselves are in migrations/. A test holds the three together.
 */
export type Source =
  /** Where the record stands in the log, and whom it is about. */
  | { readonly from: 'partition' | 'seq' | 'index' | 'log_time' | 'customer_id' | 'origin_seq' | 'origin_index' }
  /** A field of the message; a path leads through nested messages. */
  | { readonly field: readonly number[]; readonly as: 'text' | 'int' | 'sint' }
  | { readonly field: readonly number[]; readonly as: 'enum'; readonly names: readonly string[] }
  /** One text field of every occurrence of a repeated message; without `text` the repeated field is text itself. */
  | { readonly list: readonly number[]; readonly text?: number }
  | { readonly map: readonly number[]; readonly key: number; readonly value: number }
  | { readonly constant: string }
  /** A column of the row this one belongs to (only in `children`). */
  | { readonly parent: string }
  /** Which of the children it is, from 0. */
  | { readonly ordinal: true };

export interface ColumnSpec {
  readonly name: string;
  readonly type: ColumnType;
  readonly source: Source;
}

export interface RowSpec {
  readonly table: string;
  readonly columns: readonly ColumnSpec[];
  /** Repeated messages of the record that are rows of another table. */
  readonly children?: readonly { readonly list: readonly number[]; readonly row: RowSpec }[];
}

const TIME = "DateTime64(3, 'UTC')" as const;
const MONEY = 'Decimal(18, 6)' as const;

const at = (name: string, type: ColumnType, from: Extract<Source, { from: string }>['from']): ColumnSpec => ({
  name,
  type,
  source: { from },
});
const text = (name: string, ...field: number[]): ColumnSpec => ({
  name,
  type: 'String',
  source: { field, as: 'text' },
});
const int = (name: string, type: ColumnType, ...field: number[]): ColumnSpec => ({
  name,
  type,
  source: { field, as: 'int' },
});
const word = (name: string, names: readonly string[], ...field: number[]): ColumnSpec => ({
  name,
  type: 'String',
  source: { field, as: 'enum', names },
});
const parent = (name: string, type: ColumnType): ColumnSpec => ({ name, type, source: { parent: name } });

const POSITION: readonly ColumnSpec[] = [
  at('partition', 'UInt16', 'partition'),
  at('seq', 'UInt64', 'seq'),
  at('idx', 'UInt32', 'index'),
  at('log_time', TIME, 'log_time'),
  at('customer_id', 'String', 'customer_id'),
];

/** Of records that another record of the log caused. */
const DERIVED: readonly ColumnSpec[] = [
  ...POSITION,
  at('origin_seq', 'UInt64', 'origin_seq'),
  at('origin_idx', 'UInt32', 'origin_index'),
];

const LINE: RowSpec = {
  table: 'event_lines',
  columns: [
    ...POSITION,
    { name: 'line', type: 'UInt32', source: { ordinal: true } },
    parent('message_id', 'String'),
    parent('name', 'String'),
    parent('time', TIME),
    parent('order_id', 'String'),
    parent('part', 'UInt32'),
    text('product_id', 1),
    text('product_name', 2),
    text('category', 3),
    { name: 'quantity', type: 'Int64', source: { field: [4], as: 'sint' } },
    int('price', MONEY, 5),
  ],
};

const EVENT: RowSpec = {
  table: 'events',
  columns: [
    ...POSITION,
    text('message_id', 1),
    word('type', ['', 'identify', 'track', 'page', 'screen', 'group', 'alias', 'derived'], 2),
    text('name', 3),
    text('source', 6),
    int('time', TIME, 4),
    int('received_at', TIME, 5),
    text('order_id', 9, 1),
    int('part', 'UInt32', 9, 4),
    int('amount', MONEY, 9, 2),
    text('currency', 9, 3),
    text('coupon', 9, 6),
    { name: 'identifier_types', type: 'Array(String)', source: { list: [7], text: 1 } },
    { name: 'traits', type: 'Map(String, String)', source: { map: [8], key: 1, value: 2 } },
    text('properties', 10),
    text('context', 11),
  ],
  children: [{ list: [9, 5], row: LINE }],
};

const NONE: Source = { constant: '' };
const NO_FIELD: Source = { field: [0], as: 'int' };
const asText = (...field: number[]): Source => ({ field, as: 'text' });
const asInt = (...field: number[]): Source => ({ field, as: 'int' });

interface Change {
  readonly into?: Source;
  readonly other?: Source;
  readonly types?: Source;
  readonly hashes?: Source;
  readonly created?: Source;
  readonly identified?: Source;
  readonly message?: Source;
  readonly reason: Source;
}

/** What identity did, in order, in one table. */
const identityChange = (change: string, from: Change): RowSpec => ({
  table: 'identity_changes',
  columns: [
    ...POSITION,
    { name: 'change', type: 'String', source: { constant: change } },
    { name: 'into_customer_id', type: 'String', source: from.into ?? NONE },
    { name: 'identifier_types', type: 'Array(String)', source: from.types ?? { list: [0] } },
    { name: 'created', type: 'UInt8', source: from.created ?? NO_FIELD },
    { name: 'identified', type: 'UInt8', source: from.identified ?? NO_FIELD },
    { name: 'message_id', type: 'String', source: from.message ?? NONE },
    { name: 'other_customer_id', type: 'String', source: from.other ?? NONE },
    { name: 'identifier_hashes', type: 'Array(String)', source: from.hashes ?? { list: [0] } },
    { name: 'reason', type: 'String', source: from.reason },
  ],
});

const LINKED = identityChange('linked', {
  types: { list: [2], text: 1 },
  hashes: { list: [2], text: 2 },
  created: asInt(1),
  identified: asInt(4),
  message: asText(3),
  reason: asText(5),
});

const MERGED = identityChange('merged', {
  into: asText(1),
  types: { list: [3] },
  hashes: { list: [5] },
  identified: asInt(4),
  message: asText(2),
  reason: asText(6),
});

const REFUSED = identityChange('refused', {
  other: asText(2),
  types: { list: [1], text: 1 },
  hashes: { list: [1], text: 2 },
  message: asText(4),
  reason: asText(3),
});

const RESTARTED = identityChange('restarted', { into: asText(1), other: asText(4), reason: asText(5) });

const MOVE: RowSpec = {
  table: 'event_moves',
  columns: [
    ...POSITION,
    word('kind', ['', 'event', 'identity', 'merged'], 1),
    int('event_seq', 'UInt64', 4),
    int('event_idx', 'UInt32', 5),
    text('logged_as', 8),
  ],
};

export const ROWS: ReadonlyMap<RecordKind, RowSpec> = new Map<RecordKind, RowSpec>([
  [RecordKind.RECORD_KIND_EVENT, EVENT],
  [RecordKind.RECORD_KIND_IDENTITY, LINKED],
  [RecordKind.RECORD_KIND_MERGED, MERGED],
  [RecordKind.RECORD_KIND_REFUSED, REFUSED],
  [RecordKind.RECORD_KIND_RESTART, RESTARTED],
  [RecordKind.RECORD_KIND_HISTORY, MOVE],
  [
    RecordKind.RECORD_KIND_PROFILE,
    {
      table: 'profile_changes',
      columns: [
        ...DERIVED,
        { name: 'changed_traits', type: 'Array(String)', source: { list: [1] } },
        int('first_seen', TIME, 2),
        int('last_seen', TIME, 3),
        int('orders', 'UInt32', 4),
        int('gross', MONEY, 5),
        int('refunded', MONEY, 6),
        int('first_order', TIME, 7),
        int('last_order', TIME, 8),
        text('top_category', 9),
        int('identified', 'UInt8', 10),
        int('completeness', 'UInt8', 11),
      ],
    },
  ],
  [
    RecordKind.RECORD_KIND_COMPUTED_TRAIT,
    {
      table: 'computed_trait_changes',
      columns: [
        ...DERIVED,
        text('trait_id', 1),
        int('revision', 'UInt64', 2),
        text('from_json', 3),
        text('to_json', 4),
      ],
    },
  ],
  [
    RecordKind.RECORD_KIND_TAG,
    {
      table: 'tag_changes',
      columns: [
        ...DERIVED,
        text('tag_id', 1),
        int('revision', 'UInt64', 2),
        text('family', 3),
        int('carried', 'UInt8', 4),
        text('from_json', 5),
        text('to_json', 6),
      ],
    },
  ],
  [
    RecordKind.RECORD_KIND_SEGMENT,
    {
      table: 'segment_changes',
      columns: [...DERIVED, text('segment_id', 1), int('revision', 'UInt64', 2), int('entered', 'UInt8', 3)],
    },
  ],
  [
    RecordKind.RECORD_KIND_CLASS,
    {
      table: 'class_changes',
      columns: [...DERIVED, text('dimension', 1), text('from_class', 2), text('to_class', 3), text('reason', 4)],
    },
  ],
  [
    RecordKind.RECORD_KIND_STEP,
    {
      table: 'journey_steps',
      columns: [
        ...DERIVED,
        text('journey_id', 1),
        int('version', 'UInt32', 2),
        text('enrolment_id', 3),
        text('node_id', 4),
        word('action', ['', 'enrolled', 'reached', 'exited', 'refused', 'converted', 'moved', 'recalled'], 5),
        text('branch', 6),
        text('reason', 7),
      ],
    },
  ],
  [
    RecordKind.RECORD_KIND_EXPOSURE,
    {
      table: 'exposures',
      columns: [
        ...DERIVED,
        text('experiment_id', 1),
        text('variant', 2),
        int('hold_out', 'UInt8', 3),
        text('enrolment_id', 4),
        text('journey_id', 5),
        text('node_id', 6),
      ],
    },
  ],
  [
    RecordKind.RECORD_KIND_SEND,
    {
      table: 'send_requests',
      columns: [
        ...DERIVED,
        text('idempotency_key', 1),
        text('journey_id', 2),
        int('version', 'UInt32', 3),
        text('enrolment_id', 4),
        text('node_id', 5),
        text('channel', 6),
        text('template_id', 7),
        text('purpose', 8),
        text('variant', 10),
      ],
    },
  ],
  [
    RecordKind.RECORD_KIND_DECISION,
    {
      table: 'decisions',
      columns: [
        ...DERIVED,
        text('idempotency_key', 1),
        text('journey_id', 2),
        text('enrolment_id', 3),
        text('node_id', 4),
        text('channel', 5),
        word('outcome', ['', 'send', 'defer', 'drop'], 6),
        text('reason', 7),
        int('until', TIME, 8),
        text('purpose', 9),
      ],
    },
  ],
  [
    RecordKind.RECORD_KIND_DELIVERY,
    {
      table: 'deliveries',
      columns: [
        ...DERIVED,
        text('idempotency_key', 1),
        text('journey_id', 2),
        text('enrolment_id', 3),
        text('node_id', 4),
        text('channel', 5),
        text('template_id', 6),
        word('status', ['', 'intent', 'sent', 'failed', 'unknown'], 7),
        text('provider_id', 8),
        text('reason', 9),
        int('attempts', 'UInt32', 10),
        text('purpose', 11),
        text('variant', 12),
      ],
    },
  ],
]);

/** Every table the sink writes, with its columns. */
export const TABLES: ReadonlyMap<string, readonly ColumnSpec[]> = new Map(
  [...ROWS.values()]
    .flatMap((row) => [row, ...(row.children ?? []).map((c) => c.row)])
    .map((row) => [row.table, row.columns] as const),
);
