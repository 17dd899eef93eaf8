import { parseDocument } from 'yaml';
import { Journey } from '#gen/recur/journey/v1/journey.ts';
import { CHOICES, type FieldShape, JOURNEY, type Shape } from './shapes.ts';
import { Violations } from './violations.ts';

const MAX_TEXT_CHARACTERS = 65_536;

/** Reads the file form (YAML, of which JSON is a part). The journey is absent when violations were found. */
export function readJourney(text: string): { journey?: Journey; violations: Violations } {
  const violations = new Violations();
  if (!violations.check(text.length <= MAX_TEXT_CHARACTERS, 'text', 'must be at most 64 KB')) return { violations };
  // No aliases: a small file must not stand for a huge journey. The core schema knows plain data only.
  const document = parseDocument(text, { schema: 'core', merge: false, uniqueKeys: true });
  for (const error of document.errors) violations.add('text', error.message.split('\n', 1)[0] ?? 'is not YAML');
  if (violations.found.length > 0) return { violations };
  let plain: unknown;
  try {
    plain = document.toJS({ maxAliasCount: 0 });
  } catch (error) {
    violations.add('text', error instanceof Error ? error.message : 'cannot be read');
    return { violations };
  }
  const checked = message(plain, JOURNEY, '', violations);
  return violations.found.length > 0 ? { violations } : { journey: Journey.fromJSON(checked), violations };
}

function message(value: unknown, shape: Shape, at: string, violations: Violations): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    violations.add(at || 'text', 'must be a mapping');
    return result;
  }
  const given = Object.entries(value).filter(([, part]) => part !== null && part !== undefined);
  for (const [name, part] of given) {
    const field = Object.hasOwn(shape, name) ? shape[name] : undefined;
    const position = at === '' ? name : `${at}.${name}`;
    if (field === undefined) violations.add(position, `is unknown; known here: ${Object.keys(shape).join(', ')}`);
    else result[name] = read(part, field, position, violations);
  }
  const choice = CHOICES.get(shape)?.filter((name) => name in result) ?? [];
  if (choice.length > 1) violations.add(at, `has ${choice.join(' and ')}: only one may stand here`);
  return result;
}

function read(value: unknown, field: FieldShape, at: string, violations: Violations): unknown {
  switch (field.is) {
    case 'message':
      return message(value, field.shape(), at, violations);
    case 'list':
      return items(value, field, at, violations);
    case 'enum':
      return member(value, field, at, violations);
    case 'duration':
      if (typeof value === 'number') return String(value);
      violations.check(typeof value === 'string', at, 'must be a duration such as "P3D"');
      return value;
    case 'value':
      return value;
    case 'texts': {
      const isMapping = typeof value === 'object' && value !== null && !Array.isArray(value);
      const good = isMapping && Object.values(value).every((text) => typeof text === 'string');
      violations.check(good, at, 'must be a mapping of names to strings');
      return good ? value : {};
    }
    default:
      violations.check(typeof value === field.is, at, `must be a ${field.is}`);
      return value;
  }
}

function items(value: unknown, field: FieldShape & { is: 'list' }, at: string, violations: Violations): unknown[] {
  if (!violations.check(Array.isArray(value), at, 'must be a list')) return [];
  const list = value as unknown[];
  if (!violations.check(list.length <= field.max, at, `must have at most ${field.max} items`)) return [];
  return list.map((item, i) => read(item, field.of, `${at}[${i}]`, violations));
}

function member(value: unknown, field: FieldShape & { is: 'enum' }, at: string, violations: Violations): unknown {
  const name = `${field.prefix}${String(value).toUpperCase()}`;
  if (field.names.includes(name)) return name;
  if (field.names.includes(String(value))) return value;
  const short = field.names.map((known) => known.slice(field.prefix.length).toLowerCase());
  violations.add(at, `must be one of ${short.join(', ')}`);
  return undefined;
}
