import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Liquid } from 'liquidjs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import type { Journey } from '#gen/recur/journey/v1/journey.ts';
import { Template } from '#gen/recur/messaging/v1/template.ts';
import { Segment } from '#gen/recur/segmentation/v1/segment.ts';
import { readJourney } from '../src/core/definition/read.ts';
import { validateJourney } from '../src/core/definition/validate.ts';
import { type Happening, World } from './scenario.ts';

const LIBRARY = join(import.meta.dirname, '../library');

function filesIn(folder: string): [name: string, text: string][] {
  const names = readdirSync(join(LIBRARY, folder)).filter((name) => name.endsWith('.yaml'));
  return names.map((name) => [name.replace('.yaml', ''), readFileSync(join(LIBRARY, folder, name), 'utf8')]);
}

const ofTheDemo = filesIn('');
const journeys = [...ofTheDemo, ...filesIn('orders')];
const templates = [...filesIn('templates'), ...filesIn('orders/templates')];
const segments = [...filesIn('segments'), ...filesIn('orders/segments')];

function journeyOf(text: string): Journey {
  const { journey, violations } = readJourney(text);
  if (journey) validateJourney(journey, '', violations);
  expect(violations.found).toEqual([]);
  return journey!;
}

describe('the library', () => {
  it('has the journeys the demo runs', () => {
    expect(ofTheDemo.map(([name]) => name).sort()).toEqual(['day14', 'welcome', 'winback90']);
  });

  it.each(journeys)('%s is valid and names only what is there', (name, text) => {
    const { id, definition } = journeyOf(text);
    expect(id).toBe(name);
    const used = JSON.stringify(definition);
    const known = (files: typeof templates) => new Set(files.map(([file]) => file));
    for (const [, templateId] of used.matchAll(/"templateId":"([^"]+)"/g))
      expect(known(templates)).toContain(templateId);
    for (const { $case, value } of segmentsNamed(definition!)) {
      expect([$case, known(segments).has(value)]).toEqual([$case, true]);
    }
  });

  it.each(templates)('template %s speaks English and Chinese, and renders without a name', async (name, text) => {
    const template = Template.fromJSON(parse(text));
    expect(template.id).toBe(name);
    expect(Object.keys(template.variants).sort()).toEqual(['en', 'zh']);
    const liquid = new Liquid({ strictFilters: true, strictVariables: true, lenientIf: true, ownPropertyOnly: true });
    for (const content of [template.content!, ...Object.values(template.variants)]) {
      for (const part of [content.subject, content.text, content.html]) {
        const filled = await liquid.parseAndRender(part, { customer: { first_name: 'Mia' }, shop: { name: 'Shop' } });
        expect(filled).not.toBe('');
        const bare = await new Liquid().parseAndRender(part, { customer: {}, shop: { name: 'Shop' } });
        expect(bare).not.toMatch(/undefined|\{\{| ,|, !/);
      }
    }
  });

  it.each(segments)('segment %s is one segmentation reads', (name, text) => {
    const segment = Segment.fromJSON(parse(text));
    expect(segment.id).toBe(name);
    expect(segment.rule?.orders).toBeDefined();
  });
});

/** Ids of segments that triggers, exits and branches name. */
function segmentsNamed(value: unknown): { $case: string; value: string }[] {
  if (typeof value !== 'object' || value === null || Buffer.isBuffer(value)) return [];
  const own = value as { $case?: string; value?: unknown };
  const here = own.$case && /segment/i.test(own.$case) && typeof own.value === 'string';
  return [...(here ? [own as { $case: string; value: string }] : []), ...Object.values(value).flatMap(segmentsNamed)];
}

const text = (name: string) => journeys.find(([file]) => file === name)![1];
const order = (at: string, who: string): Happening => ({ at, who, event: 'Order Completed', amount: 100 });

/** Customers of each arm, found by asking: arms depend on the id only. */
function customersByArm(name: string, enter: (who: string) => Happening, until: string): Map<string, string> {
  const world = new World().add(text(name));
  for (let i = 0; i < 60; i++) world.happen(enter(`c${i}`));
  world.happen({ at: until, wait: true });
  return new Map(world.exposures.map(({ customerId, exposure }) => [exposure.variant, customerId]));
}

describe('what the journeys do', () => {
  it('welcome: a greeting by arm, a reminder at ten on the third day for who has not bought', () => {
    const arms = customersByArm('welcome', (who) => ({ who, event: 'Signed Up' }), 'P1D');
    const [a, b, none] = ['a', 'b', 'hold_out'].map((arm) => arms.get(arm)!) as [string, string, string];
    const world = new World().add(text('welcome'));
    const lines = world.play([
      ...[a, b, none].map((who) => ({ who, event: 'Signed Up' })),
      order('P2D', b),
      { who: b, enters: 'buyers' },
      { at: 'P3DT1H59M', wait: true },
    ]);
    expect(lines.filter((line) => line.includes('SEND'))).toEqual([
      `${a} SEND welcome_a welcome_a`,
      `${b} SEND welcome_b welcome_b`,
    ]);
    const later = world.play([{ at: 'P3DT2H', wait: true }, order('P5D', a)]);
    expect(later.filter((line) => line.includes('SEND'))).toEqual([`${a} SEND reminder welcome_reminder`]);
    expect(later.at(-1)).toBe(`${a} CONVERTED (Order Completed)`);
  });

  it('day14: a message two weeks after the first order; a refund in full or a second order ends it before', () => {
    const arms = customersByArm('day14', (who) => ({ who, enters: 'first_order' }), 'P15D');
    const treated = arms.get('message')!;
    const world = new World().add(text('day14'));
    const lines = world.play([
      { who: treated, enters: 'first_order' },
      { who: arms.get('hold_out')!, enters: 'first_order' },
      { who: 'refunded', enters: 'first_order' },
      { who: 'again', enters: 'first_order' },
      { at: 'P1D', who: 'refunded', event: 'Order Refunded', amount: 100 },
      { who: 'refunded', leaves: 'first_order' },
      order('P13D', 'again'),
      { who: 'again', leaves: 'first_order' },
      { at: 'P14D', wait: true },
    ]);
    expect(lines).toContain('refunded EXITED (exited_segment: first_order)');
    expect(lines).toContain('again EXITED (goal)');
    expect(lines.filter((line) => line.includes('SEND'))).toEqual([`${treated} SEND care day14_care`]);
  });

  it('winback90: twice a week apart, unless the customer comes back', () => {
    const world = new World().add(text('winback90'));
    const ids = Array.from({ length: 40 }, (_, i) => `c${i}`);
    world.play(ids.map((who) => ({ who, enters: 'lapsed_90' })));
    const first = world.sends.map(({ customerId }) => customerId);
    expect(first.length).toBeGreaterThan(15);
    const back = first[0]!;
    world.play([order('P3D', back), { who: back, leaves: 'lapsed_90' }, { at: 'P8D', wait: true }]);
    const second = world.sends.slice(first.length).map(({ customerId }) => customerId);
    expect(second.sort()).toEqual(first.filter((id) => id !== back).sort());
  });
});
