import { describe, expect, it } from 'vitest';
import { TemplateContent } from '#gen/recur/messaging/v1/template.ts';
import fc from '#tools/testkit/fast-check.ts';
import { render } from '../render/render.ts';
import { NOBODY } from '../render/validate.ts';
import { lacks, variablesOf } from './template-variables.ts';

const content = (more: Partial<TemplateContent>) => TemplateContent.fromPartial({ subject: 'Hi', ...more });
const names = (more: Partial<TemplateContent>) => [...variablesOf(content(more)).keys()];
const missing = (text: string, scope: object = {}) => render(content({ text }), { ...NOBODY, ...scope }).missing;

describe('variablesOf', () => {
  it('finds what is read of customer and journey, in every part, also in conditions, loops, filters and assignments', () => {
    const found = variablesOf(
      content({
        subject: 'Hi {{ customer.first_name }}',
        text: '{% if customer.vip %}{{ customer["first_name"] }}{% endif %}{{ "a" | append: journey.a.b }}',
        html: '{% for line in journey.lines %}{{ line.name }}{{ forloop.index }}{% endfor %}{% assign x = customer.city %}{{ x }}',
        parameters: { code: '{{ journey.code | default: "1" }}' },
      }),
    );
    expect([...found].map(([name, { parts }]) => `${name} ${parts.join()}`)).toEqual([
      'customer.first_name subject,text',
      'customer.vip text',
      'journey.a.b text',
      'journey.lines html',
      'customer.city html',
      'journey.code parameters.code',
    ]);
  });

  it('ends a name where the rest is computed, and keeps what can be written no other way', () => {
    expect(
      names({ text: '{{ customer.tags[journey.n].x }} {{ customer["a b"] }} {{ journey.list[0] }}' }).sort(),
    ).toEqual(['customer.tags', 'customer["a b"]', 'journey.list[0]', 'journey.n']);
    expect(names({ text: '{{ shop.name }} {{ message.id }} {{ customer }} {{ nothing.x }}' })).toEqual([]);
  });

  it('is bounded', () => {
    const many = Array.from({ length: 500 }, (_, i) => `{{ customer.a${i} }}`).join('');
    expect(names({ text: many })).toHaveLength(100);
  });
});

describe('missing', () => {
  it('names what printed nothing: not what has a default, a condition around it, or was only asked about', () => {
    expect(missing('{{ customer.a }} {{ customer.b | upcase }} {{ journey.c | default: "x" }}')).toEqual([
      'customer.a',
      'customer.b',
    ]);
    expect(missing('{% if customer.a %}{{ customer.a }}{% else %}{{ customer.b }}{% endif %}')).toEqual(['customer.b']);
    expect(missing('{{ customer.a }}', { customer: { a: '' } })).toEqual(['customer.a']);
    expect(missing('{{ customer.a }}{{ customer.b }}', { customer: { a: 0, b: false } })).toEqual([]);
  });

  it('in loops and captures, in html that is escaped, in every part, each once', () => {
    const journey = { lines: [{ name: 'a' }, {}, {}] };
    expect(missing('{% for line in journey.lines %}{{ line.name }}{% endfor %}', { journey })).toEqual(['line.name']);
    expect(missing('{% capture x %}{{ customer.a }}{% endcapture %}')).toEqual(['customer.a']);
    const html = '{{ customer.a }}{{ customer.a }}{{ "" }}';
    expect(render(content({ subject: 'Hi {{ customer.b }}', html }), NOBODY).missing).toEqual([
      'customer.b',
      'customer.a',
    ]);
  });

  it('renders what it rendered without anybody watching', () => {
    const value = fc.oneof(
      fc.string(),
      fc.integer(),
      fc.boolean(),
      fc.constant(null),
      fc.array(fc.string(), { maxLength: 3 }),
    );
    const source = '[{{ customer.a }}|{% capture x %}{{ customer.b }}{% endcapture %}{{ x }}|{{ customer.a | json }}]';
    fc.assert(
      fc.property(value, value, (a, b) => {
        const plain = (v: unknown): string => (v === null ? '' : Array.isArray(v) ? v.join('') : String(v));
        const rendered = render(content({ text: source }), { ...NOBODY, customer: { a, b } });
        expect(rendered.text).toBe(`[${plain(a)}|${plain(b)}|${JSON.stringify(a)}]`);
        for (const name of ['a', 'b'] as const)
          expect(rendered.missing.includes(`customer.${name}`)).toBe({ a, b }[name] === null || { a, b }[name] === '');
      }),
    );
  });
});

describe('lacks', () => {
  it.each([
    [['customer', 'a'], { customer: {} }, true],
    [['customer', 'a'], { customer: { a: '' } }, true],
    [['customer', 'a'], { customer: { a: false } }, false],
    [['customer', 'a', 'b'], { customer: { a: 1 } }, true],
    [['customer', 'tags', 0], { customer: { tags: ['x'] } }, false],
    [['customer', 'tags', 'first'], { customer: { tags: [] } }, true],
    [['customer', 'name', 'size'], { customer: { name: 'x' } }, false],
    [['customer', 'constructor'], { customer: {} }, true],
  ])('%j of %j: %s', (path, scope, expected) => expect(lacks(scope, { name: '', path })).toBe(expected));
});
