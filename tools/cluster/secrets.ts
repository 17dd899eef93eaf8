import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Secrets {
  files: {
    identifierKey: string;
    sealingKey: string;
    writeKeys: string;
    apiTokens: string;
    /** The first of the API tokens, for services that call others. */
    serviceToken: string;
  };
  /** For whoever sends events to this cluster. */
  writeKey: string;
  /** By source (channel). */
  writeKeys: Readonly<Record<string, string>>;
  /** For whoever calls its gRPC APIs. */
  apiToken: string;
}

/**
 * The secrets of a data folder, made when it has none. They are random, belong to this folder only, and can be read by
 * nobody but its owner. Once made they stay: with another identifier key nobody would be recognised again.
 */
export function secretsIn(dataDir: string): Secrets {
  const dir = join(dataDir, 'secrets');
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  chmodSync(dir, 0o700);
  const file = (name: string, make: () => string): string => {
    const path = join(dir, name);
    // 'wx': never over one that is there.
    if (!existsSync(path)) writeFileSync(path, `${make()}\n`, { mode: 0o600, flag: 'wx' });
    return path;
  };
  const apiTokens = file('api-tokens.json', () =>
    JSON.stringify({ [token('at')]: { name: 'local', scopes: ['*'] } }, undefined, 2),
  );
  const files = {
    identifierKey: file('identifier.key', key),
    sealingKey: file('sealing.key', key),
    writeKeys: file('write-keys.json', () => JSON.stringify(keysFor(SOURCES), undefined, 2)),
    apiTokens,
    serviceToken: file('service.token', () => firstKey(apiTokens)),
  };
  return {
    files,
    writeKey: firstKey(files.writeKeys),
    writeKeys: bySource(files.writeKeys),
    apiToken: firstKey(files.apiTokens),
  };
}

/** Channels a shop usually has; the first one's key is for whoever does not care. */
const SOURCES = ['web', 'mini_program', 'pos', 'tmall', 'import'];

function keysFor(sources: readonly string[]): Record<string, { source: string }> {
  return Object.fromEntries(sources.map((source) => [token('wk'), { source }]));
}

function bySource(file: string): Record<string, string> {
  const keys = JSON.parse(readFileSync(file, 'utf8')) as Record<string, { source: string }>;
  return Object.fromEntries(Object.entries(keys).map(([writeKey, { source }]) => [source, writeKey]));
}

function key(): string {
  return randomBytes(32).toString('hex');
}

function token(kind: string): string {
  return `${kind}_${randomBytes(24).toString('base64url')}`;
}

function firstKey(file: string): string {
  const [first] = Object.keys(JSON.parse(readFileSync(file, 'utf8')));
  if (first === undefined) throw new Error(`${file} holds no key.`);
  return first;
}
