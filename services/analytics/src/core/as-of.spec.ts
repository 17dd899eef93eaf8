import { describe, expect, it } from 'vitest';
import { asOfView } from './as-of.ts';

const AT = "{as_of:DateTime64(3, 'UTC')}";

describe('a view as of a moment', () => {
  it('reads tables before it, and its own kind as of it', () => {
    const view = `CREATE OR REPLACE VIEW recur.v_orders AS
SELECT * FROM recur.v_events AS e
LEFT JOIN recur.v_customer_map AS m ON m.customer_id = e.customer_id
LEFT JOIN recur.event_lines AS l ON l.customer_id = e.customer_id
WHERE x IN (SELECT y FROM recur.identity_changes)
COMMENT 'Orders'`;
    expect(asOfView(view)).toBe(`CREATE OR REPLACE VIEW recur.v_orders_as_of AS
SELECT * FROM recur.v_events_as_of(as_of = ${AT}) AS e
LEFT JOIN recur.v_customer_chain_as_of(as_of = ${AT}) AS m ON m.customer_id = e.customer_id
LEFT JOIN (SELECT * FROM recur.event_lines WHERE log_time < ${AT}) AS l ON l.customer_id = e.customer_id
WHERE x IN (SELECT y FROM (SELECT * FROM recur.identity_changes WHERE log_time < ${AT}))
COMMENT 'Parameter as_of (UTC): as it was known at that moment. Orders'`);
  });

  it('projections are tables, too', () => {
    expect(
      asOfView('CREATE OR REPLACE VIEW recur.v_refunds AS SELECT * FROM mergeTreeProjection(recur, events, orders)'),
    ).toBe(
      `CREATE OR REPLACE VIEW recur.v_refunds_as_of AS\nSELECT * FROM (SELECT * FROM mergeTreeProjection(recur, events, orders) WHERE log_time < ${AT})`,
    );
  });

  it('others have none', () => {
    expect(asOfView('CREATE OR REPLACE VIEW recur.v_clock AS SELECT 1')).toBeUndefined();
    expect(asOfView('CREATE OR REPLACE FUNCTION recur_f AS (x) -> x')).toBeUndefined();
  });
});
