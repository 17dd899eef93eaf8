// The end of a run: a table by call for people, and everything as JSON where SUMMARY says.
const CALLS = ['http batch', 'http track', 'grpc SendEvents', 'grpc GetProfile'];

export function handleSummary(data) {
  const of = (metric, call) => data.metrics[`${metric}{call:${call}}`]?.values;
  const rows = CALLS.flatMap((call) => {
    const duration = of('http_req_duration', call) ?? of('grpc_req_duration', call);
    if (duration === undefined) return [];
    const { count = 0 } = duration;
    const ms = (name) => Math.round((duration[name] ?? 0) * 10) / 10;
    const [errors, refused] = [of('recur_errors', call)?.rate ?? 0, of('recur_refused', call)?.rate ?? 0];
    return [
      {
        call,
        calls: count,
        p50_ms: ms('p(50)'),
        p90_ms: ms('p(90)'),
        p99_ms: ms('p(99)'),
        max_ms: ms('max'),
        error_rate: errors,
        refused_rate: refused,
      },
    ];
  });
  const counter = (name) => data.metrics[name]?.values.count ?? 0;
  const result = {
    seconds: Math.round(data.state.testRunDurationMs / 1000),
    accepted_events: counter('recur_accepted_events'),
    unanswered_events: counter('recur_unanswered_events'),
    dropped_iterations: counter('dropped_iterations'),
    calls: rows,
    broken_thresholds: Object.entries(data.metrics).flatMap(([name, { thresholds = {} }]) =>
      Object.entries(thresholds).flatMap(([rule, { ok }]) => (ok ? [] : [`${name}: ${rule}`])),
    ),
  };
  return { ...(__ENV.SUMMARY ? { [__ENV.SUMMARY]: JSON.stringify(result) } : {}), stdout: `${table(rows)}\n` };
}

function table(rows) {
  const cells = [
    ['call', 'calls', 'p50 ms', 'p90 ms', 'p99 ms', 'max ms', 'errors', 'refused'],
    ...rows.map((row) => Object.values(row).map(String)),
  ];
  const widths = cells[0].map((_, i) => Math.max(...cells.map((row) => row[i].length)));
  return cells
    .map((row) => row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join('  '))
    .join('\n');
}
