-- When each customer buys next, of anything and of each category.
CREATE TABLE recur.next_purchases
(
    run_id String COMMENT 'Run',
    customer_id String COMMENT 'Customer when the run was made; see v_customer_map for who that is now',
    category String COMMENT 'Category of the products; empty: any purchase',
    written_at DateTime DEFAULT now() COMMENT 'When it was written; rows are kept 400 days',
    purchases UInt32 COMMENT 'Days with a purchase of it before as_of',
    last_day Date COMMENT 'The last of them',
    cycle_days Nullable(Float64) COMMENT 'Replenishment cycle: days between purchases, the customer\'s own drawn towards everybody\'s (geometric means); NULL when the category has too few',
    chance Nullable(Float64) COMMENT 'Chance to buy it again within a year, as far as the category has been seen',
    from_day Nullable(Date) COMMENT 'The next purchase falls from this day on …',
    to_day Nullable(Date) COMMENT '… to this day, included, with a chance of 80 %; NULL when not predictable',
    reason LowCardinality(String) COMMENT 'Why there is no window: too_few_repurchases (fewer than 50 in the category), unlikely_to_return (chance below 80 %); empty when there is'
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(written_at)
ORDER BY (run_id, customer_id, category)
TTL written_at + INTERVAL 400 DAY
COMMENT 'What a run says of when a customer buys next';
