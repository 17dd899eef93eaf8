import {
  CALLS,
  itemSubjects,
  LANE,
  PORTS,
  SERVICES,
  type ServiceName,
  STAGES,
  STREAMS,
  subjects,
  WIRING,
} from '#lib/topology/topology.ts';

type Keyed = keyof typeof WIRING;
const KEYED = STAGES.filter((stage): stage is Keyed => stage in WIRING);

/** The picture: who writes what, who reads it, who asks whom. Mermaid, as GitHub draws it. */
export function diagram(): string {
  const outputs = KEYED.map((stage) => WIRING[stage].output);
  return [
    'flowchart LR',
    '  shops([shops, apps, SDKs, CSV]) -- "HTTP · gRPC" --> ingest',
    `  ingest --> lane[("${STREAMS.ingest.name}<br/>${subjects.ingest(LANE)}")] --> identity`,
    `  subgraph log["${STREAMS.log.name}: log.&lt;partition&gt;.&lt;kind&gt;, one agreed order per partition of customers"]`,
    ...['event', ...outputs].map((kind) => `    k_${kind}[(${kind})]`),
    '  end',
    '  identity --> k_event',
    ...KEYED.map((stage) => `  k_event --> ${stage}`),
    ...KEYED.map((stage) => `  ${stage} --> k_${WIRING[stage].output}`),
    ...KEYED.flatMap((stage) =>
      upstreamKind(stage).map((kind) => `  k_${kind} == "right behind its cause" ==> ${stage}`),
    ),
    '  log == "everything" ==> analytics',
    ...CALLS.map(({ from, to }) => `  ${from} -. asks .-> ${to}`),
    '  messaging -- SMTP --> mail([mail provider])',
    '  analytics --> clickhouse[(ClickHouse)]',
    '  clickhouse -- "SQL · gRPC" --> analysts([analysts])',
  ].join('\n');
}

function upstreamKind(stage: Keyed): string[] {
  const { upstream } = WIRING[stage];
  return upstream !== undefined && upstream in WIRING ? [WIRING[upstream as Keyed].output] : [];
}

/** The same in words, with ports. */
export function table(): string {
  const rows = SERVICES.map((service) => {
    const calls = CALLS.filter(({ from }) => from === service).map(({ to }) => to);
    return `| ${service} | ${reads(service)} | ${writes(service)} | ${calls.join(', ') || '–'} | ${PORTS.grpc[service]} |`;
  });
  return ['| service | reads | writes | asks (gRPC) | gRPC port |', '|---|---|---|---|---|', ...rows].join('\n');
}

const code = (subject: string) => `\`${subject}\``;

function reads(service: ServiceName): string {
  if (service === 'ingest') return 'HTTP (Segment), gRPC';
  if (service === 'identity') return code(subjects.ingest(LANE));
  if (service === 'analytics') return code(STREAMS.log.subjects[0]);
  const { upstream } = WIRING[service];
  const behind = upstream === undefined ? '' : `; behind each, what ${upstream} made of it`;
  const kinds = new Set(itemSubjects(0, service).map((subject) => subject.split('.')[2]));
  return `${[...kinds].map((kind) => code(String(kind))).join(' ')}${behind}`;
}

function writes(service: ServiceName): string {
  if (service === 'ingest') return code(subjects.ingest(LANE));
  if (service === 'identity') return code('log.<p>.event');
  if (service === 'analytics') return 'ClickHouse';
  return code(`log.<p>.${WIRING[service].output}`);
}

const START = '<!-- flow: made from services/lib/topology/topology.ts by npm run topology; do not edit -->';
const END = '<!-- /flow -->';

/** The text with what is between the markers made anew. */
export function withFlow(text: string, parts: { readonly table: boolean }): string {
  const start = text.indexOf(START);
  const end = text.indexOf(END);
  if (start < 0 || end < start) throw new Error(`needs the lines ${START} and ${END}`);
  const made = `\n\`\`\`mermaid\n${diagram()}\n\`\`\`\n${parts.table ? `\n${table()}\n` : ''}`;
  return `${text.slice(0, start + START.length)}${made}${text.slice(end)}`;
}

/** Pages that show the flow. */
export const PAGES = [
  { file: 'README.md', table: false },
  { file: 'services/README.md', table: true },
] as const;
