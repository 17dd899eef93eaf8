import type { LoadReport } from './run.ts';

/** A report as a page for loadtest/results. */
export function pageOf(report: LoadReport, args: readonly string[], date = new Date()): string {
  const { load, machine, load_before, seconds, events_per_second, accepted_events, drain_seconds, lost, double } =
    report;
  const percent = (rate: number) => `${Math.round(rate * 100_000) / 1000} %`;
  const rows = report.calls.map(
    (c) =>
      `| ${c.call} | ${c.calls} | ${c.p50_ms} | ${c.p90_ms} | ${c.p99_ms} | ${c.max_ms} | ${percent(c.error_rate)} | ${percent(c.refused_rate)} |`,
  );
  return `# ${load}

\`npm run loadtest -- ${args.join(' ')}\`, ${date.toISOString().slice(0, 10)}, on ${machine}. One-minute load of the machine before: ${load_before}.

| call | calls | p50 ms | p90 ms | p99 ms | max ms | errors | refused |
|---|---:|---:|---:|---:|---:|---:|---:|
${rows.join('\n')}

${accepted_events} events accepted in ${seconds} s (${events_per_second} a second on average). All of them in ClickHouse ${drain_seconds} s
after the end: ${lost} lost, ${double} double. Calls k6 could not begin in time: ${report.dropped_iterations}. Thresholds broken: ${report.broken_thresholds.join('; ') || 'none'}.
`;
}
