import { parseExactly } from '../core/exact-json.ts';
import { BadReceiptError } from './provider-receipts.ts';

/** What a body holds: texts, and parts with fields of their own; a list of what comes more than once. */
export interface Fields {
  readonly [name: string]: Value;
}
export type Value = string | Fields | readonly Value[];

const MAX_DEPTH = 8;
const MAX_ELEMENTS = 500;

/**
 * A body as WeChat pushes it, which an account may have as XML or as JSON.
 * @throws BadReceiptError
 */
export function readBody(body: string): Fields {
  return body.trimStart().startsWith('{') ? readJson(body) : readXml(body);
}

export function partOf(value: Value | undefined, name: string): Value | undefined {
  return typeof value === 'object' && !isList(value) && Object.hasOwn(value, name) ? value[name] : undefined;
}

/** One alone comes as itself. */
export function listOf(value: Value | undefined): readonly Value[] {
  if (value === undefined) return [];
  return isList(value) ? value : [value];
}

const isList = (value: Value): value is readonly Value[] => Array.isArray(value);

const OPEN = /<([A-Za-z_][\w.-]{0,63})\s*>/y;
const CLOSE = /<\/([A-Za-z_][\w.-]{0,63})\s*>/y;
const CDATA = /<!\[CDATA\[([\s\S]*?)\]\]>/y;
const TEXT = /[^<&]+/y;
const ENTITY = /&(lt|gt|amp|quot|apos);/y;
const ENTITIES: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };

interface Element {
  readonly name: string;
  /** Undefined as long as it has no elements in it. */
  fields: Record<string, Value> | undefined;
  text: string;
}

/**
 * The XML that is pushed: elements, texts and CDATA. Declarations, attributes and entities of its own, by which a document can
 * do harm, are none of it, so they are errors here instead of something to be switched off.
 */
function readXml(body: string): Fields {
  const open: Element[] = [{ name: '', fields: undefined, text: '' }];
  let at = 0;
  let elements = 0;
  const next = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    const match = pattern.exec(body);
    if (!match) return undefined;
    at = pattern.lastIndex;
    return match[1] ?? match[0];
  };
  while (at < body.length) {
    const current = open.at(-1) as Element;
    const name = next(OPEN);
    if (name !== undefined) {
      if (++elements > MAX_ELEMENTS || open.length > MAX_DEPTH)
        throw new BadReceiptError(`the body must have at most ${MAX_ELEMENTS} elements, ${MAX_DEPTH} deep`);
      open.push({ name, fields: undefined, text: '' });
      continue;
    }
    const closed = next(CLOSE);
    if (closed !== undefined) {
      if (open.length === 1 || closed !== current.name) throw notXml(at);
      open.pop();
      add(open.at(-1) as Element, current);
      continue;
    }
    const entity = next(ENTITY);
    const text = entity === undefined ? (next(CDATA) ?? next(TEXT)) : ENTITIES[entity];
    if (text === undefined) throw notXml(at);
    current.text += text;
  }
  const { fields, text } = open[0] as Element;
  const root = fields && Object.keys(fields).length === 1 ? Object.values(fields)[0] : undefined;
  if (open.length > 1 || text.trim() !== '' || typeof root !== 'object' || isList(root)) throw notXml(at);
  return root;
}

function notXml(at: number): BadReceiptError {
  return new BadReceiptError(`the body must be XML of elements, texts and CDATA alone, or JSON: see character ${at}`);
}

function add(parent: Element, { name, fields, text }: Element): void {
  const value: Value = fields ?? text;
  parent.fields ??= Object.create(null) as Record<string, Value>;
  const before = parent.fields[name];
  parent.fields[name] = before === undefined ? value : [...listOf(before), value];
}

function readJson(body: string): Fields {
  let parsed: unknown;
  try {
    parsed = parseExactly(body);
  } catch {
    throw new BadReceiptError('the body must be XML or JSON');
  }
  return plain(parsed, 1) as Fields;
}

function plain(value: unknown, depth: number): Value {
  if (typeof value !== 'object' || value === null) return value === null ? '' : String(value);
  if (depth > MAX_DEPTH) throw new BadReceiptError(`the body must be at most ${MAX_DEPTH} deep`);
  if (Array.isArray(value)) return value.map((item) => plain(item, depth + 1));
  const fields = Object.create(null) as Record<string, Value>;
  for (const [name, item] of Object.entries(value)) fields[name] = plain(item, depth + 1);
  return fields;
}
