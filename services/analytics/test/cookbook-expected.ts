/** By file: how many rows the answer has, and the first. Of makeHistory({ events: 60_000, months: 12, from: '2025-01-01' }). */
export const EXPECTED: Readonly<Record<string, { readonly rows: number; readonly first: unknown } | undefined>> = {
  '01_health.sql': {
    rows: 7,
    first: {
      metric: 'crm_gmv_share',
      value: 0.0253,
      line: 0.25,
      healthy: 0,
    },
  },
  '02_repurchase_by_channel.sql': {
    rows: 4,
    first: {
      first_channel: 'tmall',
      buyers: 143,
      repeat_buyers: 105,
      repurchase_rate: 0.7343,
    },
  },
  '03_repurchase_in_time.sql': {
    rows: 12,
    first: {
      month: '2025-01-01',
      new_buyers: 86,
      eligible: 86,
      came_back: 26,
      repurchase_rate: 0.3023,
    },
  },
  '04_concentration.sql': {
    rows: 10,
    first: {
      tenth: 1,
      customers: 61,
      gross: 56635.88,
      share: 0.325,
      share_up_to_here: 0.325,
    },
  },
  '05_cohorts.sql': {
    rows: 12,
    first: {
      cohort: '2025-01-01',
      buyers: 86,
      m1: 0.2791,
      m2: 0.3488,
      m3: 0.2907,
      m6: 0.2674,
    },
  },
  '06_rfm.sql': {
    rows: 8,
    first: {
      class: 'important_value',
      chinese: '重要价值',
      customers: 119,
      share: 0.197,
      gross: 76970.66,
      share_of_gross: 0.4417,
    },
  },
  '07_win_back.sql': {
    rows: 20,
    first: {
      customer_id: '01J2944FEFFF67C7ABD0000040',
      orders: 15,
      net_spent: 1790.57,
      days_away: 73,
      longest_gap_days: 55.87732638888889,
    },
  },
  '08_funnel.sql': {
    rows: 4,
    first: {
      source: 'mini_program',
      viewed: 299,
      added: 197,
      checkout: 33,
      ordered: 1,
      view_to_cart: 0.6589,
      cart_to_checkout: 0.1675,
      checkout_to_order: 0.0303,
    },
  },
  '09_why_this_customer.sql': {
    rows: 2,
    first: {
      decided_at: '2025-10-21 00:20:06.000',
      journey: 'winback90',
      node: 'mail',
      channel: 'email',
      purpose: 'marketing',
      outcome: 'drop',
      reason: 'frequency_cap',
      template: '',
      became: '',
      sent_at: '1970-01-01 00:00:00.000',
      opened: 0,
      clicked: 0,
    },
  },
  '10_not_sent.sql': {
    rows: 4,
    first: {
      channel: 'email',
      outcome: 'defer',
      reason: 'quiet_hours',
      decisions: 27,
      customers: 27,
      share: 0.403,
    },
  },
  '11_what_a_flow_is_worth.sql': {
    rows: 9,
    first: {
      experiment_id: 'day14',
      variant: 'hold_out',
      customers: 41,
      conversion: 0.1951,
      relative: null,
      low: null,
      high: null,
      p: null,
      sequential_p: null,
    },
  },
  '12_incremental.sql': {
    rows: 6,
    first: {
      experiment_id: 'day14',
      variant: 'a',
      customers: 97,
      attributed: 737.17,
      incremental: -1835.08,
      low: -4022.03,
      high: 351.87,
      share_that_is_real: -2.4894,
    },
  },
  '13_trust.sql': {
    rows: 3,
    first: {
      experiment_id: 'day14',
      customers_by_arm: [
        ['a', 97],
        ['b', 102],
        ['hold_out', 41],
      ],
      p: 0.495,
      mismatch: 0,
    },
  },
  '14_segment_lift.sql': {
    rows: 12,
    first: {
      segment_id: 'segment_0',
      members: 184,
      conversion: 0.7337,
      average: 0.7,
      lift: 1.05,
    },
  },
  '15_latent_need.sql': {
    rows: 1,
    first: {
      times_looked: 1,
      customers: 7,
    },
  },
  '16_identified.sql': {
    rows: 4,
    first: {
      first_channel: 'mini_program',
      customers: 307,
      identified: 235,
      rate: 0.7655,
      buyers: 216,
      rate_of_buyers: 0.7778,
    },
  },
  '17_new_who_are_old.sql': {
    rows: 12,
    first: {
      month: '2025-01-01',
      new_customers: 432,
      really_old: 18,
      share: 0.0417,
    },
  },
  '18_crm_share.sql': {
    rows: 4,
    first: {
      days: 1,
      crm_net: 969.42,
      crm_orders: 8,
      share: 0.0043,
    },
  },
  '19_too_many.sql': {
    rows: 4,
    first: {
      messages: '1',
      customers: 542,
      unsubscribed: 8,
      share: 0.0148,
    },
  },
  '20_replenishment.sql': {
    rows: 6,
    first: {
      category: 'tea',
      gaps: 361,
      quarter: 24,
      median: 56,
      three_quarters: 123,
    },
  },
  '21_came_after_a_message.sql': {
    rows: 10,
    first: {
      template_id: 'winback90_a',
      customers: 99,
      came: 6,
      share: 0.0606,
    },
  },
};
