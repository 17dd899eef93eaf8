import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { Template, TemplateContent } from '#gen/recur/messaging/v1/template.ts';
import fc from '#tools/testkit/fast-check.ts';
import { render } from '../render.ts';
import { NOBODY } from '../validate.ts';
import { checkTemplate } from './compile-template.ts';
import { markLiquid } from './liquid-marks.ts';
import { MjmlCompiler, mjmlFile } from './mjml.ts';

const file = mjmlFile(new URL('../..', import.meta.url).pathname);
const compiler = new MjmlCompiler(file);
afterAll(() => compiler.close());

const page = (body: string) => `<mjml><mj-body>${body}</mj-body></mjml>`;
const column = (inner: string) => page(`<mj-section><mj-column>${inner}</mj-column></mj-section>`);
const template = (mjml: string, more: Partial<TemplateContent> = {}) =>
  Template.fromPartial({
    ...{ id: 'hello', name: 'Hello', channel: 'email' },
    content: TemplateContent.fromPartial({ subject: 'Hi', mjml, ...more }),
  });
const violations = async (mjml: string) =>
  (await checkTemplate(template(mjml), compiler)).violations.map((v) => `${v.field}: ${v.description}`);

describe('MJML', { timeout: 150_000 }, () => {
  it('becomes a page, with the Liquid in it left as it is', async () => {
    const source = column(
      [
        '<mj-text>Hi {{ customer.first_name | default: "there" }}{% if journey.count < 3 and journey.count > 1 %}, two{% endif %}</mj-text>',
        '<mj-button href="{{ journey.url | default: "https://shop.example/?a=1&b=2" }}">Go</mj-button>',
        '<mj-raw>{% for item in journey.items %}</mj-raw><mj-text>{{ item }}</mj-text><mj-raw>{% endfor %}</mj-raw>',
      ].join('\n'),
    );
    const { template: stored, violations: none } = await checkTemplate(template(source), compiler);
    expect(none).toEqual([]);
    expect(stored.content?.mjml).toBe(source);
    const journey = { count: 2, items: ['<one>', 'two'], url: 'https://shop.example/x' };
    const { html } = render(stored.content as TemplateContent, { ...NOBODY, customer: { first_name: 'Ana' }, journey });
    expect(html).toMatch(/^\s*<!doctype html>/);
    expect(html).toContain('Hi Ana, two</div>');
    expect(html).toContain('href="https://shop.example/x"');
    expect(html).toMatch(/&lt;one&gt;<[\s\S]*>two</);
    // Nothing is loaded from elsewhere unless the author says so.
    expect(html).not.toMatch(/googleapis|lq[0-9a-f]{12}x/);
  });

  it('of every language, and in place of whatever HTML was given', async () => {
    const zh = TemplateContent.fromPartial({ subject: '你好', mjml: column('<mj-text>您好</mj-text>'), html: 'old' });
    const given = { ...template(column('<mj-text>Hello</mj-text>')), variants: { zh } };
    const { template: stored } = await checkTemplate(given, compiler);
    expect(stored.content?.html).toContain('>Hello</div>');
    expect(stored.variants.zh?.html).toContain('>您好</div>');
    expect(stored.variants.zh?.html).not.toContain('old');
    const again = await checkTemplate(stored, compiler);
    expect(again).toEqual({ template: stored, violations: [] });
  });

  it.each([
    [
      '<mjml><mj-body>\n<mj-foo/></mj-body></mjml>',
      /^template\.content\.mjml: line 2: <mj-foo> Element mj-foo doesn't/,
    ],
    [column('\n\n<mj-text colour="red">x</mj-text>'), /mjml: line 3: <mj-text> Attribute colour is illegal/],
    [column('<mj-image width="{{ customer.w }}"/>'), /mjml: line 1: <mj-image> .*\{\{ customer\.w \}\}/],
    [
      column('\n{% if customer.vip %}<mj-text>x</mj-text>{% endif %}'),
      /line 2: \{% if customer\.vip %\} has no place here/,
    ],
    [column('\n<mj-text>{{ customer.name | }} {% if %}</mj-text>'), /^template\.content\.mjml: .*/],
    [column('<mj-text>{% if true %}x</mj-text>'), /mjml: in the HTML made of it, line \d+, .*not closed/],
    [column('\n<mj-include path="/etc/passwd"/>'), /mjml: line 2: mj-include is not available/],
    [
      page('<mj-raw>{{ "x" | nothing }}</mj-raw>'),
      /mjml: in the HTML made of it, line \d+, column \d+: undefined filter/,
    ],
    ['hello', /mjml: Parsing failed/],
    [column(`<mj-text>${'x'.repeat(66_000)}</mj-text>`), /^template\.content: must have at most 65536 bytes/],
    [column('<mj-button>a</mj-button>'.repeat(900)), /must give at most 102400 bytes of HTML, more is cut off/],
  ])('is refused with its place (%#)', async (source, expected) => {
    expect((await violations(source))[0]).toMatch(expected);
  });

  it('what else is wrong is told with it; nothing of it stands where the channel has no page', async () => {
    const given = { ...template('hello'), name: '', category: 'A' };
    const { violations: found } = await checkTemplate(given, compiler);
    expect(found.map((v) => v.field)).toEqual(['template.content.mjml', 'template.name', 'template.category']);
    const sms = { ...template(column('<mj-text>x</mj-text>')), channel: 'sms' };
    const fields = (await checkTemplate(sms, compiler)).violations.map((v) => v.field);
    expect(fields).toContain('template.content.mjml');
  });

  it.each([
    ['<div>'.repeat(12_000)],
    ['<'.repeat(60_000)],
    ['<mj-section><mj-column>'.repeat(2_000)],
    [`<mj-style inline="inline">${'a{b:c}'.repeat(9_000)}</mj-style>`],
  ])(
    'hostile input is answered, and the next one compiles (%#)',
    async (inner) => {
      await violations(column(inner));
      expect(await violations(column('<mj-text>x</mj-text>'))).toEqual([]);
    },
    60_000,
  );

  it('stops what takes too long, and goes on with a new thread', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'recur-mjml-'));
    const loop = join(folder, 'loop.mjs');
    writeFileSync(
      loop,
      `import { parentPort } from 'node:worker_threads'; parentPort.on('message', () => { for (;;); });`,
    );
    const hasty = new MjmlCompiler(loop, 50);
    const { errors } = await hasty.compile('x');
    rmSync(folder, { recursive: true });
    expect(errors).toEqual([{ line: 0, message: 'takes more than 50 ms of the processor' }]);
    await hasty.close();
    expect(await violations(column('<mj-text>x</mj-text>'))).toEqual([]);
  });

  it('does not work on the thread that sends', async () => {
    const source = column('<mj-text>{{ customer.a }}</mj-text>'.repeat(200));
    const begun = process.threadCpuUsage();
    const { html } = await compiler.compile(source);
    const { user } = process.threadCpuUsage(begun);
    expect(html.match(/customer\.a/g)).toHaveLength(200);
    // Milliseconds: words are put in and taken out.
    expect(user / 1000).toBeLessThan(100);
  });
});

describe('markLiquid', () => {
  const liquid = fc.constantFrom(
    '{{ a }}',
    '{% if a < 1 %}',
    '{%- endif -%}',
    '{{ "}" }}',
    "{{ a | default: '>' }}",
    '{% assign x = "a&b" %}',
  );
  const plain = fc.stringMatching(/^[a-z<>&"'= \n]{0,12}$/);
  it('puts everything back, on the same lines, and knows what was lost', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(plain, liquid), { maxLength: 20 }), (parts) => {
        const source = parts.flat().join('');
        const marked = markLiquid(source);
        expect(marked.source).not.toMatch(/[{}%]/);
        expect(marked.restore(marked.source)).toBe(source);
        expect(marked.lost(marked.source)).toEqual([]);
        expect(marked.lost('').map((l) => l.liquid)).toEqual(parts.map(([, l]) => l));
      }),
    );
  });

  it('keeps the lines of Liquid that has several', () => {
    const marked = markLiquid('a\n{% if\n  x %}\nb{{ y }}');
    expect(marked.source.split('\n')).toHaveLength(4);
    expect(marked.lost('')).toEqual([
      { line: 2, liquid: '{% if\n  x %}' },
      { line: 4, liquid: '{{ y }}' },
    ]);
  });
});
