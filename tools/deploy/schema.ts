import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import type { Manifest } from './manifest.ts';

export type JsonSchema = { [key: string]: unknown };

/** What is in deploy/schemas: the kinds we deploy, and what they are made of. */
export interface SchemaFile {
  version: string;
  /** `apps/v1 Deployment` → name of its definition. */
  kinds: Record<string, string>;
  definitions: Record<string, JsonSchema>;
}

const FOLDER = join(import.meta.dirname, '../../deploy/schemas');
const REF = '#/components/schemas/';

/**
 * The schema without what only people read, and closed: an object with properties has no others. An API server that is asked to
 * be strict refuses the same. What Kubernetes says by extensions (x-kubernetes-…) becomes plain JSON Schema.
 */
export function close(schema: JsonSchema): JsonSchema {
  return closed(schema, true) as JsonSchema;
}

function closed(node: unknown, isSchema: boolean, partial = false): unknown {
  if (Array.isArray(node)) return node.map((each) => closed(each, isSchema, partial));
  if (typeof node !== 'object' || node === null) return node;
  const from = node as JsonSchema;
  // Under `properties` keys are names of fields, which may well be called `default` or `properties`.
  if (!isSchema) return Object.fromEntries(Object.entries(from).map(([name, each]) => [name, closed(each, true)]));
  if (from['x-kubernetes-int-or-string'] === true) return { type: ['integer', 'string'] };
  const to: JsonSchema = {};
  for (const [key, value] of Object.entries(from)) {
    if (['description', 'default', 'example', 'title'].includes(key) || key.startsWith('x-kubernetes-')) continue;
    if (key === 'properties') to.properties = closed(value, false);
    else if (['anyOf', 'oneOf', 'not'].includes(key)) to[key] = closed(value, true, true);
    else if (['items', 'additionalProperties', 'allOf'].includes(key)) to[key] = closed(value, true);
    else if (key !== 'nullable') to[key] = value;
  }
  const open = from.additionalProperties !== undefined || from['x-kubernetes-preserve-unknown-fields'] === true;
  // An alternative names only what it is about; the object it belongs to is the one that is closed.
  if (to.properties !== undefined && !open && !partial) to.additionalProperties = false;
  if (from.nullable === true && typeof to.type === 'string') to.type = [to.type, 'null'];
  return to;
}

/** Checks manifests against the schemas of one version of Kubernetes and of the CRDs we use. */
export class Schemas {
  readonly version: string;
  readonly #file: SchemaFile;
  readonly #ajv = new Ajv({ strict: false, allErrors: true, verbose: true });
  readonly #validators = new Map<string, ValidateFunction>();

  constructor(file: SchemaFile) {
    this.#file = file;
    this.version = file.version;
    for (const [format, check] of Object.entries(FORMATS)) this.#ajv.addFormat(format, check);
    this.#ajv.addSchema({ $id: 'kubernetes', components: { schemas: file.definitions } });
  }

  /** The one in deploy/schemas. */
  static vendored(): Schemas {
    const names = readdirSync(FOLDER).filter((name) => name.endsWith('.json'));
    if (names.length !== 1) throw new Error(`${FOLDER} must hold one schema, not ${names.join(', ') || 'none'}`);
    return new Schemas(JSON.parse(readFileSync(join(FOLDER, names[0] as string), 'utf8')));
  }

  /** Everything wrong with it; nothing when it is right. A kind without a schema is wrong too. */
  problemsOf(manifest: Manifest): string[] {
    const kind = `${manifest.apiVersion} ${manifest.kind}`;
    const definition = this.#file.kinds[kind];
    if (definition === undefined) return [`${kind}: no such kind in Kubernetes ${this.version} or the CRDs we use`];
    const validate = this.#validatorOf(definition);
    if (validate(manifest)) return [];
    return [...new Set((validate.errors ?? []).map(sentence))];
  }

  #validatorOf(definition: string): ValidateFunction {
    const known = this.#validators.get(definition);
    if (known !== undefined) return known;
    const made = this.#ajv.compile({ $ref: `kubernetes${REF}${definition}` });
    this.#validators.set(definition, made);
    return made;
  }
}

const FORMATS: Record<string, true | ((value: string) => boolean)> = {
  'int-or-string': true,
  int32: true,
  int64: true,
  double: true,
  byte: (value) => /^[A-Za-z0-9+/]*={0,2}$/.test(value),
  'date-time': (value) => !Number.isNaN(Date.parse(value)),
};

function sentence({ instancePath, message, params, keyword }: ErrorObject): string {
  const at = instancePath.replaceAll('/', '.').replaceAll('~1', '/') || '.';
  if (keyword === 'additionalProperties') return `${at}: there is no field "${params.additionalProperty}"`;
  return `${at}: ${message}`;
}
