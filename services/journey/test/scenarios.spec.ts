import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { type Happening, World } from './scenario.ts';

const HERE = join(import.meta.dirname, '..');
const FOLDER = join(HERE, 'scenarios');

/** A scenario as a file holds it: what happens, and every line the stage must tell, in order. */
interface Scenario {
  readonly name: string;
  /** Files of the library. */
  readonly journeys?: readonly string[];
  /** Journeys of the scenario's own. */
  readonly own?: readonly object[];
  readonly happenings: readonly Happening[];
  readonly expected: readonly string[];
}

const files = readdirSync(FOLDER).filter((name) => name.endsWith('.yaml'));
const scenariosIn = (file: string): Scenario[] => parse(readFileSync(join(FOLDER, file), 'utf8'));

describe('scenarios written as data', () => {
  it.each(
    files.flatMap((file) =>
      scenariosIn(file).map((scenario) => [`${basename(file, '.yaml')}: ${scenario.name}`, scenario] as const),
    ),
  )('%s', (_, { journeys = [], own = [], happenings, expected }) => {
    const world = new World();
    for (const journey of journeys) world.add(readFileSync(join(HERE, 'library', `${journey}.yaml`), 'utf8'));
    for (const journey of own) world.add(stringify(journey));
    expect(world.play(happenings)).toEqual(expected);
  });

  it('there is one for each journey about orders', () => {
    const ready = readdirSync(join(HERE, 'library/orders')).filter((name) => name.endsWith('.yaml'));
    const played = new Set(files.flatMap(scenariosIn).flatMap(({ journeys = [] }) => journeys));
    expect(ready.map((name) => `orders/${basename(name, '.yaml')}`).filter((name) => !played.has(name))).toEqual([]);
  });
});
