import type { Span } from './otlp.ts';

/**
 * Which service made which one work, as spans say by parent and link: `ingest > identity`. Edges inside a service are left out.
 */
export function serviceGraph(spans: readonly Span[]): string[] {
  const byId = new Map(spans.map((span) => [span.spanId, span]));
  const edges = new Set<string>();
  for (const span of spans) {
    for (const id of [span.parentId, ...span.links.map(({ spanId }) => spanId)]) {
      const cause = byId.get(id);
      if (cause !== undefined && cause.service !== span.service) edges.add(`${cause.service} > ${span.service}`);
    }
  }
  return [...edges].sort();
}

/** A trace as indented lines: how long after its beginning each span began, how long it took, and where. */
export function treeOf(spans: readonly Span[]): string {
  const ids = new Set(spans.map(({ spanId }) => spanId));
  const sorted = spans.toSorted((a, b) => a.startUs - b.startUs);
  const begin = sorted[0]?.startUs ?? 0;
  const lines: string[] = [];
  const show = (span: Span, depth: number) => {
    const ms = (us: number) => `${(us / 1_000).toFixed(1)} ms`;
    const times = `${`+${ms(span.startUs - begin)}`.padStart(12)} ${ms(span.endUs - span.startUs).padStart(10)}`;
    const links = span.links.length > 0 ? `  (and ${span.links.length} linked)` : '';
    const failed = span.failed ? '  FAILED' : '';
    lines.push(`${times}  ${'  '.repeat(depth)}${span.service}: ${span.name}${links}${failed}`);
    for (const child of sorted) if (child.parentId === span.spanId) show(child, depth + 1);
  };
  // The parent of the first may be the sender's, which nobody told us about.
  for (const span of sorted) if (!ids.has(span.parentId)) show(span, 0);
  return lines.join('\n');
}
