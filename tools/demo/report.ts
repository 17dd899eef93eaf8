import { ExperimentResult, GetSummaryResponse } from '#gen/recur/analytics/v1/analytics_service.ts';
import type { Journey } from '#gen/recur/journey/v1/journey.ts';
import { Profile } from '#gen/recur/profile/v1/profile.ts';
import type { Endpoints } from '#tools/cluster/endpoints.ts';
import type { Api } from '#tools/library/api.ts';
import { sql } from '#tools/library/sql.ts';
import { type FunnelLine, type FunnelRow, funnelOf, type NotSentRow } from './funnel.ts';
import type { Played } from './play.ts';

export interface JourneyRow extends Record<string, unknown> {
  readonly journey_id: string;
  readonly enrolled: number;
  readonly converted: number;
  readonly messages: number;
  readonly conversion_rate: number | null;
}

export interface JourneyReport extends JourneyRow {
  readonly name: string;
  readonly funnel: FunnelLine[];
}

export interface Report {
  /** Who there are in truth. */
  readonly people: number;
  readonly events: number;
  readonly messages: number;
  /** How long it took to play the days. */
  readonly seconds: number;
  readonly summary: GetSummaryResponse;
  readonly journeys: JourneyReport[];
  readonly experiments: ExperimentResult[];
  readonly customer: Profile | undefined;
}

interface Sources {
  readonly api: Api;
  readonly endpoints: Endpoints;
  readonly people: number;
  readonly played: Played;
  readonly seconds: number;
}

/** Reports go over everything there is; on a busy machine that takes a while. */
const PATIENT = { deadlineMs: 60_000 };

/** What a shop owner wants to know, asked of the public interfaces: gRPC and SQL. */
export async function collectReport({ api, endpoints, people, played, seconds }: Sources): Promise<Report> {
  const url = endpoints.clickhouseHttp;
  const summary = await api.analytics.getSummary({ asOfMs: 0, rfm: undefined }, PATIENT);
  const { results } = await api.analytics.listExperimentResults({ experimentId: '', days: 30, by: '' }, PATIENT);
  const { journeys } = await api.journey.listJourneys({ pageSize: 100, pageToken: '' });
  const [best] = await sql<{ customer_id: string }>(url, MOST_WRITTEN_TO);
  return {
    people,
    events: played.events,
    messages: played.messages,
    seconds,
    summary,
    journeys: journeysOf(
      journeys,
      await sql<JourneyRow>(url, JOURNEYS),
      await sql<FunnelRow>(url, FUNNEL),
      await sql<NotSentRow>(url, NOT_SENT),
    ),
    experiments: results,
    customer: best && (await wholeProfile(api, best.customer_id)),
  };
}

/** For other programs: enums by name, hashes in base64. */
export function reportJson(report: Report): string {
  return JSON.stringify({
    ...report,
    summary: GetSummaryResponse.toJSON(report.summary),
    experiments: report.experiments.map((e) => ExperimentResult.toJSON(e)),
    customer: report.customer && Profile.toJSON(report.customer),
  });
}

function journeysOf(
  journeys: Journey[],
  rows: JourneyRow[],
  funnel: FunnelRow[],
  notSent: NotSentRow[],
): JourneyReport[] {
  const none = { enrolled: 0, converted: 0, messages: 0, conversion_rate: null };
  return journeys.map((journey) => {
    const row = rows.find((r) => r.journey_id === journey.id) ?? { ...none, journey_id: journey.id };
    return { ...row, name: journey.name, funnel: funnelOf(journey, funnel, notSent) };
  });
}

const PROFILE_FIELDS = ['first_seen_ms', 'last_seen_ms', 'identifiers', 'traits', 'sources', 'orders', 'top_category'];
const FROM_OTHERS = ['segments', 'rfm', 'lifecycle', 'journeys', 'messages'];

async function wholeProfile(api: Api, customerId: string): Promise<Profile | undefined> {
  const readMask = [...PROFILE_FIELDS, ...FROM_OTHERS];
  const { profile } = await api.profile.getProfile({ customer: { $case: 'customerId', value: customerId }, readMask });
  return profile;
}

const JOURNEYS = `
SELECT j.journey_id AS journey_id, enrolled, converted, conversion_rate, m.messages AS messages
FROM v_journeys AS j
LEFT JOIN (SELECT journey_id, uniqExact(idempotency_key) AS messages FROM deliveries WHERE status = 'sent' GROUP BY journey_id) AS m
USING journey_id ORDER BY journey_id`;

const FUNNEL = `
SELECT journey_id, node_id, action, branch, reason, sum(customers) AS customers FROM v_journey_funnel
WHERE action IN ('reached', 'exited', 'converted') GROUP BY ALL
ORDER BY journey_id, node_id, action, customers DESC, branch, reason`;

const NOT_SENT = `
SELECT journey_id, reason, uniqExact(idempotency_key) AS messages FROM decisions
WHERE outcome = 'drop' GROUP BY journey_id, reason`;

const MOST_WRITTEN_TO = `
SELECT customer_id FROM deliveries WHERE status = 'sent' GROUP BY customer_id ORDER BY count() DESC, customer_id LIMIT 1`;
