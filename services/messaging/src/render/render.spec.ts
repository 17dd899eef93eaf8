import { describe, expect, it } from 'vitest';
import { Template, TemplateContent } from '#gen/recur/messaging/v1/template.ts';
import { traitsNamed } from '../core/template-source.ts';
import { render, type Scope, TemplateError } from './render.ts';
import { NOBODY, templateViolations } from './validate.ts';

const content = (more: Partial<TemplateContent>) => TemplateContent.fromPartial({ subject: 'Hi', text: 'x', ...more });
const text = (source: string, scope: Partial<Scope> = {}) =>
  render(content({ text: source }), { ...NOBODY, ...scope }).text;
const template = (more: Partial<TemplateContent>) =>
  Template.fromPartial({ id: 'hello', name: 'Hello', channel: 'email', content: content(more) });
const violations = (more: Partial<TemplateContent>) =>
  templateViolations(template(more)).map(({ field, description }) => `${field}: ${description}`);

describe('render', () => {
  it('fills in traits and journey variables, with defaults', () => {
    const scope = { customer: { first_name: 'Ana', tags: ['a', 'b'] }, journey: { order: { total: 12.5 } } };
    expect(text('{{ customer.first_name }} {{ journey.order.total }} {{ customer.tags }}', scope)).toBe('Ana 12.5 ab');
    expect(text('{{ customer.first_name | default: "there" }}')).toBe('there');
  });

  it('escapes what customers typed in html, and only there', () => {
    const scope: Scope = { ...NOBODY, customer: { name: '<script>"&' } };
    const rendered = render(content({ text: '{{ customer.name }}', html: '<p>{{ customer.name }}</p>' }), scope);
    expect(rendered.html).toBe('<p>&lt;script&gt;&#34;&amp;</p>');
    expect(rendered.text).toBe('<script>"&');
  });

  it('a process that stood still meanwhile is no fault of the template', () => {
    let naps = 2;
    const sleepy = {
      get name() {
        // Nothing is worked out meanwhile: as on a machine that has no time for us.
        if (naps-- > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
        return 'Ana';
      },
    };
    const scope: Scope = { ...NOBODY, customer: sleepy };
    expect(text('Hi {{ customer.name }}{% if true %}!{% endif %}', scope)).toBe('Hi Ana!');
  });

  it('refuses a subject that would become other headers', () => {
    const scope: Scope = { ...NOBODY, customer: { name: 'Ana\r\nBcc: all@example.com' } };
    expect(() => render(content({ subject: 'Hi {{ customer.name }}' }), scope)).toThrow('one line');
    expect(() => render(content({ subject: '{{ customer.nothing }}' }), NOBODY)).toThrow('must not be empty');
    expect(() =>
      render(content({ subject: 'Hi {{ customer.name }}' }), { ...NOBODY, customer: { name: 'x'.repeat(300) } }),
    ).toThrow('at most 250');
  });
});

describe('hostile templates', () => {
  const HOSTILE: [name: string, source: string][] = [
    [
      'loops for ever',
      '{% for i in (1..100000) %}{% for j in (1..100000) %}{% assign x = j %}{% endfor %}{% endfor %}',
    ],
    ['loops over a range of a billion', '{% for i in (1..1000000000) %}{% endfor %}'],
    ['writes more than 256 KB', `{% for i in (1..10000) %}${'x'.repeat(100)}{% endfor %}`],
    ['doubles a string', `{% assign s = "xxxxxxxxxx" %}${'{% assign s = s | append: s %}'.repeat(40)}{{ s }}`],
    [
      'doubles by capture',
      `{% assign s = "xxxxxxxxxx" %}${'{% capture s %}{{ s }}{{ s }}{% endcapture %}'.repeat(40)}`,
    ],
    [
      'doubles by capture, not far enough to fail by itself',
      `{% assign s = "xxxxxxxxxx" %}${'{% capture s %}{{ s }}{{ s }}{% endcapture %}'.repeat(18)}ok`,
    ],
    ['pads without end', '{{ "now" | date: "%999999999d" }}'],
    ['strips html without end', `{{ "${'<script'.repeat(5000)}" | strip_html }}`.repeat(20)],
    ['includes a file', '{% include "/etc/passwd" %}'],
    ['renders a file', '{% render "../../package.json" %}'],
    ['lays itself out', '{% layout "x" %}'],
    ['knows an unknown filter', '{{ "x" | system }}'],
  ];
  it.each(HOSTILE)(
    '%s: refused within a second of the processor',
    (_name, source) => {
      // Not of the wall clock: a busy machine takes longer, and that is not the template's doing.
      const begun = process.threadCpuUsage();
      expect(() => text(source)).toThrow(TemplateError);
      expect(violations({ text: source })).not.toEqual([]);
      const { user, system } = process.threadCpuUsage(begun);
      expect(user + system).toBeLessThan(1_000_000);
    },
    60_000,
  );

  it.each([
    '{{ customer.constructor }}',
    '{{ customer.__proto__ }}',
    '{{ customer.toString }}',
    '{{ constructor }}{{ __proto__ }}',
    '{{ message.constructor.constructor }}',
    '{{ process }}{{ globalThis }}{{ require }}',
    '{{ customer | map: "constructor" }}',
    '{{ "" | where: "__proto__", "x" }}',
  ])('%s reaches nothing', (source) => expect(text(source)).toBe(''));
});

describe('templateViolations', () => {
  it('passes a good template', () =>
    expect(templateViolations(template({ html: '<p>{{ customer.first_name }}</p>' }))).toEqual([]));

  it('names field, line and column of what does not parse', () => {
    expect(violations({ html: 'one\n  {{ customer.name | }} {% if %}' })).toEqual([
      expect.stringMatching(/^template\.content\.html: line 2, column \d+: /),
    ]);
    const zh = content({ subject: '你好', text: '{% endif %}' });
    expect(templateViolations({ ...template({}), variants: { zh } })).toMatchObject([
      { field: 'template.variants[zh].text' },
    ]);
  });

  it('names everything wrong with the rest', () => {
    const bad = Template.fromPartial({ id: 'Bad id', name: '', channel: 'fax', variants: { '../x': content({}) } });
    expect(templateViolations(bad).map((v) => v.field)).toEqual([
      'template.id',
      'template.channel',
      'template.name',
      'template.content',
      'template.variants',
    ]);
    expect(violations({ subject: 'a\nb' })).toEqual([
      'template.content.subject: must be one line without control characters',
    ]);
    expect(violations({ text: '' })).toEqual(['template.content: needs text, html or mjml']);
    expect(violations({ text: 'x'.repeat(70_000) })).toEqual([
      'template.content: must have at most 65536 bytes, has 70002',
    ]);
  });
});

describe('push', () => {
  it.each(['fcm', 'apns', 'web_push'])('%s has title, text, values and where a tap leads', (channel) => {
    const push = (more: Partial<TemplateContent>) =>
      templateViolations({ ...template({}), channel, content: content(more) }).map(
        (v) => `${v.field}: ${v.description}`,
      );
    expect(push({ url: 'https://shop.example/c', parameters: { code: '{{ journey.code }}' } })).toEqual([]);
    expect(push({ html: 'x' })).toEqual([`template.content.html: must be empty: ${channel} has none`]);
    expect(push({ text: '' })).toEqual(['template.content.text: must not be empty']);
    expect(push({ url: 'http://localhost/' })[0]).toMatch(/^template.content.url: /);
    expect(push({ parameters: { aps: 'x' } })).toEqual([
      'template.content.parameters: must not have aps: it has a meaning of its own',
    ]);
  });
});

describe('traitsNamed', () => {
  it('finds every trait in every language and part', () => {
    const variants = { zh: content({ html: '{% for t in customer["hobbies"] %}{{ t }}{% endfor %}' }) };
    const given = {
      ...template({
        subject: '{{ customer.first_name }}',
        text: '{% if customer.vip == true %}{{ journey.x }}{% endif %}',
      }),
      variants,
    };
    expect([...traitsNamed(given)].sort()).toEqual(['first_name', 'hobbies', 'vip']);
  });
});
