import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';

/** A span as a collector gets it; ids in hex, times in µs since 1970. */
export interface Span {
  readonly service: string;
  readonly replica: string;
  readonly traceId: string;
  readonly spanId: string;
  /** Empty: the first of its trace. */
  readonly parentId: string;
  readonly name: string;
  /** 1 internal, 2 server, 3 client, 4 producer, 5 consumer. */
  readonly kind: number;
  readonly startUs: number;
  readonly endUs: number;
  readonly attributes: Readonly<Record<string, string | number | boolean>>;
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
  readonly failed: boolean;
}

type Field = (no: number, reader: BinaryReader) => boolean;

/** Reads a message; fields that `on` does not take are skipped. */
function each(bytes: Uint8Array, on: Field): void {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [no, type] = reader.tag();
    if (type === WireType.EndGroup) return;
    if (!on(no, reader)) reader.skip(type, no);
  }
}

/** opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest, as far as `Span` says. */
export function readSpans(request: Uint8Array): Span[] {
  const spans: Span[] = [];
  each(request, (no, reader) => no === 1 && take(() => readResourceSpans(reader.bytes(), spans)));
  return spans;
}

function readResourceSpans(bytes: Uint8Array, spans: Span[]): void {
  let resource: Span['attributes'] = {};
  const scopes: Uint8Array[] = [];
  each(bytes, (no, reader) => {
    if (no === 1) resource = readAttributes(reader.bytes(), 1);
    else if (no === 2) scopes.push(reader.bytes());
    else return false;
    return true;
  });
  const where = {
    service: String(resource['service.name'] ?? ''),
    replica: String(resource['service.instance.id'] ?? ''),
  };
  for (const scope of scopes) {
    each(scope, (no, reader) => no === 2 && take(() => spans.push(readSpan(reader.bytes(), where))));
  }
}

function readSpan(bytes: Uint8Array, where: Pick<Span, 'service' | 'replica'>): Span {
  const span = {
    ...where,
    ...{ traceId: '', spanId: '', parentId: '', name: '', kind: 0, startUs: 0, endUs: 0, failed: false },
    attributes: {} as Record<string, string | number | boolean>,
    links: [] as Span['links'][number][],
  };
  each(bytes, (no, reader) => {
    if (no === 1) span.traceId = hex(reader);
    else if (no === 2) span.spanId = hex(reader);
    else if (no === 4) span.parentId = hex(reader);
    else if (no === 5) span.name = reader.string();
    else if (no === 6) span.kind = reader.int32();
    else if (no === 7) span.startUs = microseconds(reader);
    else if (no === 8) span.endUs = microseconds(reader);
    else if (no === 9) Object.assign(span.attributes, readAttribute(reader.bytes()));
    else if (no === 13) span.links.push(readLink(reader.bytes()));
    else if (no === 15) span.failed = readStatus(reader.bytes()) === 2;
    else return false;
    return true;
  });
  return span;
}

function readLink(bytes: Uint8Array): Span['links'][number] {
  const link = { traceId: '', spanId: '' };
  each(bytes, (no, reader) => {
    if (no === 1) link.traceId = hex(reader);
    else if (no === 2) link.spanId = hex(reader);
    else return false;
    return true;
  });
  return link;
}

function readStatus(bytes: Uint8Array): number {
  let code = 0;
  each(bytes, (no, reader) => no === 3 && take(() => (code = reader.int32())));
  return code;
}

/** A message whose field `no` repeats key and value. */
function readAttributes(bytes: Uint8Array, at: number): Span['attributes'] {
  const attributes: Record<string, string | number | boolean> = {};
  each(bytes, (no, reader) => no === at && take(() => Object.assign(attributes, readAttribute(reader.bytes()))));
  return attributes;
}

function readAttribute(bytes: Uint8Array): Record<string, string | number | boolean> {
  let key = '';
  let value: string | number | boolean = '';
  each(bytes, (no, reader) => {
    if (no === 1) key = reader.string();
    else if (no === 2) value = readValue(reader.bytes());
    else return false;
    return true;
  });
  return { [key]: value };
}

function readValue(bytes: Uint8Array): string | number | boolean {
  let value: string | number | boolean = '';
  each(bytes, (no, reader) => {
    if (no === 1) value = reader.string();
    else if (no === 2) value = reader.bool();
    else if (no === 3) value = Number(reader.int64());
    else if (no === 4) value = reader.double();
    else return false;
    return true;
  });
  return value;
}

const hex = (reader: BinaryReader): string => Buffer.from(reader.bytes()).toString('hex');
const microseconds = (reader: BinaryReader): number => Number(BigInt(reader.fixed64()) / 1_000n);

function take(read: () => unknown): true {
  read();
  return true;
}
