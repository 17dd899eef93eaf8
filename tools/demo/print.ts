import type { ExperimentResult } from '#gen/recur/analytics/v1/analytics_service.ts';
import { messageStatusToJSON } from '#gen/recur/messaging/v1/state.ts';
import type { Profile } from '#gen/recur/profile/v1/profile.ts';
import type { Endpoints } from '#tools/cluster/endpoints.ts';
import type { Report } from './report.ts';
import { verdict } from './verdict.ts';

const RFM_NAMES: Readonly<Record<string, string>> = {
  important_value: '重要价值 important, value',
  important_develop: '重要发展 important, develop',
  important_keep: '重要保持 important, keep',
  important_win_back: '重要挽留 important, win back',
  general_value: '一般价值 general, value',
  general_develop: '一般发展 general, develop',
  general_keep: '一般保持 general, keep',
  lost: '流失     lost',
};

const count = (n: number) => n.toLocaleString('en-US');
const money = (micros: number) =>
  (micros / 1e6).toLocaleString('en-US', { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const percent = (share: number | null | undefined, digits = 1) =>
  share === null || share === undefined ? '–' : `${(100 * share).toFixed(digits)} %`;
const date = (ms: number) => new Date(ms).toISOString().slice(0, 10);
/** Chinese characters take two columns. */
const width = (text: string) => [...text].reduce((n, c) => n + (c >= '\u2e80' ? 2 : 1), 0);
const pad = (text: string, to: number) => text + ' '.repeat(Math.max(0, to - width(text)));
/** A row of a table. */
const line = (label: string, ...cells: string[]) =>
  console.log(`  ${pad(label, 36)}${cells.map((c) => c.padStart(14)).join('')}`.trimEnd());
const note = (label: string, ...parts: string[]) =>
  console.log(`  ${pad(label, 20)}${parts.filter((part) => part !== '').join(', ')}`);
const title = (text: string) => console.log(`\n${text}\n${'─'.repeat(text.length)}`);

export interface Around {
  readonly endpoints: Endpoints;
  readonly kept: boolean;
  readonly data: string;
}

export function printReport(report: Report, around: Around): void {
  const { summary: s } = report;
  title(
    `The shop after ${count(report.events)} events and ${count(report.messages)} mails (played in ${report.seconds.toFixed(0)} s)`,
  );
  note(
    'customers',
    `${count(s.customers)} for ${count(report.people)} people (guests count once per browser)`,
    `${percent(s.identificationRate)} identified`,
    `${count(s.mergedCustomers)} were merged into another`,
  );
  note('orders', count(s.orders), `gross ${money(s.grossMicros)}`, `net ${money(s.netMicros)}`);
  note('repurchase rate', `${percent(s.repurchaseRate)}: ${count(s.repeatBuyers)} of ${count(s.buyers)} buyers`);
  note('top 10 % bring', `${percent(s.topDecileShare)} of sales`);

  title('RFM, as of the last event');
  line('class', 'customers', 'sales');
  for (const c of s.rfm) line(RFM_NAMES[c.class] ?? c.class, count(c.customers), money(c.monetaryMicros));

  title('Journeys');
  line('journey', 'enrolled', 'mails sent', 'reached goal', 'conversion');
  for (const j of report.journeys) {
    line(j.journey_id, count(j.enrolled), count(j.messages), count(j.converted), percent(j.conversion_rate));
    for (const step of j.funnel) line(`    ${step.what}`, count(step.count));
  }

  title('What the mails were worth (orders within 30 days of the split, against the hold-out)');
  for (const experiment of new Set(report.experiments.map((e) => e.experimentId))) {
    printExperiment(report.experiments.filter((e) => e.experimentId === experiment));
  }
  if (report.customer) printCustomer(report.customer);
  printWhereNext(around);
}

function printExperiment(results: readonly ExperimentResult[]): void {
  for (const r of results.filter((x) => x.metric === 'conversion')) {
    const revenue = results.find((x) => x.metric === 'revenue' && x.variant === r.variant);
    const per = `${revenue?.mean.toFixed(2) ?? '–'} a head`;
    line(
      `${r.experimentId}: ${r.variant}`,
      `${count(r.customers)} people`,
      percent(r.mean),
      per,
      r.effect === undefined ? '' : `p ${r.p?.toFixed(4) ?? '–'}`,
    );
  }
  for (const r of results) if (r.effect !== undefined) console.log(`    ${verdict(r)}`);
}

function printCustomer(p: Profile): void {
  title(`One customer, all around: ${p.customerId}`);
  note('seen', `${date(p.firstSeenMs)} to ${date(p.lastSeenMs)}`, `through ${p.sources.join(', ')}`);
  note('identifiers', ...new Set(p.identifiers.map((i) => i.type)));
  note('traits', ...p.traits.map((t) => `${t.name} ${t.masked ? '***' : t.valueJson}`));
  if (p.orders) {
    const { kept, placed, netMicros } = p.orders;
    note('orders', `${kept} kept of ${placed}`, `net ${money(netMicros)}`, `mostly ${p.topCategory}`);
  }
  note('classes', p.rfm?.id ?? '', p.lifecycle?.id ?? '');
  note('segments', ...p.segments.map((each) => each.segmentId));
  note('journeys now', p.journeys.map((j) => `${j.journeyId} at ${j.nodeId}`).join(', ') || 'none');
  for (const m of p.messages.slice(0, 4)) {
    const status = messageStatusToJSON(m.status).replace('MESSAGE_STATUS_', '').toLowerCase();
    note('message', date(m.decidedAtMs), `${m.templateId} ${status}`, m.reason === 'ok' ? '' : m.reason);
  }
}

function printWhereNext({ endpoints, kept, data }: Around): void {
  title('Where to look next');
  if (!kept) {
    console.log('  npm run demo -- --keep      the same, and leaves the cluster running to look around');
    console.log('  npm run up                  an empty cluster on the live clock');
    return;
  }
  console.log(`  mails          ${endpoints.mailboxHttp}`);
  console.log(
    `  SQL            curl '${endpoints.clickhouseHttp}/?database=recur' --data 'SELECT * FROM v_journeys FORMAT Pretty'`,
  );
  console.log(
    `  gRPC           ${endpoints.grpc.profile} recur.profile.v1.ProfileService (reflection on; token in ${data}/secrets/api-tokens.json)`,
  );
  console.log(`  what runs      npm run status -- --data ${data}     stop it: npm run down -- --data ${data}`);
}
