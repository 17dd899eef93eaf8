import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Link, MatchResult } from '#lib/matching/match.ts';
import type { Customers } from './customers.ts';

/** What a run found, as it is kept: places of customers in the input, no names. */
export interface Found {
  /** Of the customers and the settings: another of either is another run. */
  readonly run: string;
  readonly customers: number;
  readonly candidates: number;
  readonly persons: number;
  readonly threshold: MatchResult['threshold'];
  /** What each comparison says at each level, for one person and for two strangers. */
  readonly weights: readonly { readonly name: string; readonly levels: readonly LevelWeight[] }[];
  readonly accepted: readonly Link[];
  readonly review: readonly Link[];
  readonly groups: readonly number[];
  /** How many of the links, accepted ones first, identity was told; and of the accepted ones how many it merged. */
  proposed: number;
  merged: number;
}

export interface LevelWeight {
  readonly level: string;
  readonly one_person: number;
  readonly strangers: number;
}

export function runOf({ specs, rows, refs, known }: Customers, settings: string): string {
  const hash = createHash('sha256').update(settings).update(JSON.stringify(specs));
  for (const [i, row] of rows.entries()) hash.update(JSON.stringify([row, refs[i], known[i]]));
  return hash.digest('hex').slice(0, 32);
}

export function foundIn(run: string, customers: number, result: MatchResult): Found {
  const { groups, candidates, threshold, accepted, review, model, comparisons } = result;
  const weights = comparisons.map(({ name, levels }, c) => ({
    name,
    levels: levels.map((level, i) => ({
      level,
      one_person: model.match.marginals[c]?.[i + 1] as number,
      strangers: model.stranger.marginals[c]?.[i + 1] as number,
    })),
  }));
  const persons = new Set(groups).size;
  const counted = { customers, candidates, persons, threshold, weights };
  return { run, ...counted, accepted, review, groups: [...groups], proposed: 0, merged: 0 };
}

/** The result of a run in a file of its own that is whole at every moment; only its owner may read it. */
export class ResultFile {
  readonly #path: string;

  constructor(dir: string) {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    this.#path = join(dir, 'result.json');
  }

  read(run: string): Found | undefined {
    if (!existsSync(this.#path)) return undefined;
    try {
      const found = JSON.parse(readFileSync(this.#path, 'utf8')) as Found;
      return found.run === run ? found : undefined;
    } catch {
      return undefined;
    }
  }

  save(found: Found): void {
    writeFileSync(`${this.#path}.tmp`, JSON.stringify(found), { mode: 0o600 });
    renameSync(`${this.#path}.tmp`, this.#path);
  }
}
