import type { JourneyRecord } from '#gen/recur/analytics/v1/analytics_service.ts';
import type { Engine } from '../engine/engine.ts';
import { allIdsOf } from './timeline.ts';

export interface RecordsQuery {
  readonly customerId: string;
  readonly journeyId: string;
  readonly segmentId: string;
  readonly fromMs: number;
  readonly limit: number;
}

interface Row {
  time_ms: string;
  kind: string;
  what: string;
  enrolment_id: string;
  node_id: string;
  branch: string;
  reason: string;
  channel: string;
  template_id: string;
  until_ms: string;
}

/** Empty values of the columns a table does not have. */
const NONE = {
  ...{ enrolment_id: "''", node_id: "''", branch: "''", reason: "''", channel: "''", template_id: "''" },
  until_ms: "'0'",
};

/** Of one table: whose, since when, and what stands for each column. */
function part(
  table: string,
  kind: string,
  columns: Partial<Record<keyof typeof NONE | 'what', string>>,
  where: string,
) {
  const { what = "''", ...given } = columns;
  const all = Object.entries({ ...NONE, ...given }).map(([name, value]) => `toString(${value}) AS ${name}`);
  return `SELECT log_time, seq, idx, '${kind}' AS kind, toString(${what}) AS what, ${all.join(', ')}
    FROM recur.${table} AS t
    WHERE ${where} AND t.customer_id IN {ids:Array(String)} AND log_time >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')`;
}

const OF_JOURNEY = 't.journey_id = {journey:String}';
const OF_MESSAGE = { enrolment_id: 't.enrolment_id', node_id: 't.node_id', reason: 't.reason', channel: 't.channel' };

const PARTS = [
  part(
    'journey_steps',
    'step',
    { what: 't.action', enrolment_id: 't.enrolment_id', node_id: 't.node_id', branch: 't.branch', reason: 't.reason' },
    OF_JOURNEY,
  ),
  part(
    'exposures',
    'exposure',
    {
      ...{ what: 't.variant', enrolment_id: 't.enrolment_id', node_id: 't.node_id', branch: 't.experiment_id' },
      reason: "if(t.hold_out = 1, 'hold_out', '')",
    },
    OF_JOURNEY,
  ),
  part(
    'decisions',
    'decision',
    {
      ...{ ...OF_MESSAGE, what: 't.outcome' },
      until_ms: "if(t.outcome = 'defer', toUnixTimestamp64Milli(t.until), 0)",
    },
    OF_JOURNEY,
  ),
  part('deliveries', 'delivery', { ...OF_MESSAGE, what: 't.status', template_id: 't.template_id' }, OF_JOURNEY),
];

const OF_SEGMENT = part(
  'segment_changes',
  'segment',
  { what: "if(t.entered = 1, 'entered', 'exited')", branch: 't.segment_id' },
  't.segment_id = {segment:String}',
);

/** The newest records of a customer and a journey, oldest first, over all ids that lead to the same customer. */
export async function readJourneyRecords(
  engine: Engine,
  { customerId, journeyId, segmentId, fromMs, limit }: RecordsQuery,
): Promise<{ customerId: string; records: JourneyRecord[] }> {
  const ids = await allIdsOf(engine, customerId);
  const parts = segmentId === '' ? PARTS : [...PARTS, OF_SEGMENT];
  const rows = await engine.rows<Row>(
    `SELECT toString(toUnixTimestamp64Milli(log_time)) AS time_ms, * EXCEPT (log_time, seq, idx)
     FROM (${parts.join('\nUNION ALL\n')})
     ORDER BY log_time DESC, seq DESC, idx DESC
     LIMIT {limit:UInt32}`,
    { ids, journey: journeyId, from: fromMs, limit, ...(segmentId !== '' && { segment: segmentId }) },
  );
  const records = rows.map((row) => ({
    timeMs: Number(row.time_ms),
    ...{ kind: row.kind, what: row.what, enrolmentId: row.enrolment_id, nodeId: row.node_id, branch: row.branch },
    ...{ reason: row.reason, channel: row.channel, templateId: row.template_id, untilMs: Number(row.until_ms) },
  }));
  return { customerId: ids[0] ?? customerId, records: records.reverse() };
}
