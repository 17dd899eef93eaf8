import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { BRANCH_CONDITION, NODE, type Shape, TRIGGER, WAIT } from '../src/core/definition/shapes.ts';
import { RefuseReason } from '../src/core/enrol.ts';
import { LeaveReason } from '../src/core/leave.ts';
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
const all = files.flatMap(scenariosIn);

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

  it('there is one for each ready journey', () => {
    const filesIn = (folder: string) =>
      readdirSync(join(HERE, 'library', folder)).filter((name) => name.endsWith('.yaml'));
    const ready = [...filesIn(''), ...filesIn('orders').map((name) => `orders/${name}`)];
    const played = new Set(all.flatMap(({ journeys = [] }) => journeys));
    expect(ready.map((name) => name.replace('.yaml', '')).filter((name) => !played.has(name))).toEqual([]);
  });

  it('they show every kind of trigger and node, every move of a journey, and every reason to refuse somebody or let them go', () => {
    const definitions = all.flatMap(definitionsIn);
    const has = (value: unknown, key: string): boolean =>
      typeof value === 'object' &&
      value !== null &&
      (Object.hasOwn(value, key) || Object.values(value).some((part) => has(part, key)));
    const kinds = (shape: Shape) => Object.keys(shape).filter((name) => name !== 'id');
    const settings = [
      'hold_out_percent',
      'group',
      'priority',
      'goal',
      'exit_when',
      'reentry',
      'fallbacks',
      'ways',
      'expression',
    ];
    const wanted = [...kinds(NODE), ...kinds(TRIGGER), ...kinds(WAIT), ...kinds(BRANCH_CONDITION), ...settings];
    expect(wanted.filter((name) => !definitions.some((definition) => has(definition, name)))).toEqual([]);

    const moves = new Set(
      all.flatMap(({ happenings }) => happenings.flatMap((one) => ('move' in one ? [one.move] : []))),
    );
    expect([...moves].sort()).toEqual(['archive', 'pause', 'restore', 'resume', 'start', 'stop']);

    const lines = all.flatMap(({ expected }) => expected).join('\n');
    const refused = [...Object.values(RefuseReason)].map((reason) => `REFUSED.*\\(${sample(reason)}`);
    const never: readonly unknown[] = [LeaveReason.versionRetired, LeaveReason.missingNode];
    const left = Object.values(LeaveReason).filter((reason) => !never.includes(reason));
    const exits = left.map((reason) => `EXITED.*\\(${sample(reason)}`);
    const others = ['CONVERTED', 'MOVED', 'GIVES', 'held out', 'already_sent', 'too_many_hops', 'SET', 'EMIT'];
    expect([...refused, ...exits, ...others].filter((pattern) => !new RegExp(pattern).test(lines))).toEqual([]);
  });
});

/** Journeys of the library and of the scenario's own, as they are written. */
const definitionsIn = ({ journeys = [], own = [], happenings }: Scenario): unknown[] => [
  ...journeys.map((name) => parse(readFileSync(join(HERE, 'library', `${name}.yaml`), 'utf8'))),
  ...own,
  ...happenings.flatMap((one) => ('edit' in one || 'add' in one ? [Object.values(one)] : [])),
];

/** The beginning of a reason as it is told. */
const sample = (reason: string | ((about: never) => string)): string =>
  typeof reason === 'string' ? reason : reason('' as never).replace(/_days$/, '');
