/** Views that also exist as of a moment, in the order they stand on each other. */
export const AS_OF_VIEWS = [
  'v_merges',
  'v_customer_chain',
  'v_event_owners',
  'v_identities',
  'v_orders',
  'v_refunds',
  'v_order_net',
  'v_refunds_unmatched',
  'v_order_lines',
  'v_order_lines_net',
  'v_customers',
] as const;

/** Those that look into memory have a twin of their own in views/, which works it out. */
const BY_HAND = ['v_events', 'v_event_lines'];
/** Read from memory now; as of a moment it is worked out. */
const IN_MEMORY: Readonly<Record<string, string>> = { v_customer_map: 'v_customer_chain' };

/** Tables the log fills: each row says when. */
const LOG_TABLES = ['events', 'event_lines', 'identity_changes', 'event_moves'];

const PARAMETER = "{as_of:DateTime64(3, 'UTC')}";
const HEAD = /^CREATE OR REPLACE VIEW recur\.(\w+) AS\s/;

/**
 * The same view over the log as it was at a moment: whatever reads a table reads its rows before it, whatever reads another
 * of these views reads that one as of the same moment. Undefined for a view that has no such twin.
 */
export function asOfView(statement: string): string | undefined {
  const name = HEAD.exec(statement)?.[1];
  if (name === undefined || !(AS_OF_VIEWS as readonly string[]).includes(name)) return undefined;
  const views = [...AS_OF_VIEWS, ...BY_HAND, ...Object.keys(IN_MEMORY)].join('|');
  const tables = LOG_TABLES.join('|');
  return statement
    .replace(HEAD, `CREATE OR REPLACE VIEW recur.${name}_as_of AS\n`)
    .replace(
      new RegExp(`\\b(FROM|JOIN)\\s+(mergeTreeProjection\\(recur, \\w+, \\w+\\)|recur\\.(?:${tables})\\b)`, 'g'),
      (_, before: string, table: string) => `${before} (SELECT * FROM ${table} WHERE log_time < ${PARAMETER})`,
    )
    .replace(new RegExp(`\\b(FROM|JOIN)\\s+recur\\.(${views})\\b`, 'g'), (_, before: string, view: string) => {
      return `${before} recur.${IN_MEMORY[view] ?? view}_as_of(as_of = ${PARAMETER})`;
    })
    .replace(/COMMENT '/, "COMMENT 'Parameter as_of (UTC): as it was known at that moment. ");
}
