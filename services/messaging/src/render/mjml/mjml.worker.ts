// MJML to HTML in a thread of its own: MJML has no bounds of its own, and a thread can be stopped.
import { parentPort } from 'node:worker_threads';
import mjml from 'mjml-core';
import preset from 'mjml-preset-core';
import type { Compiled, MjmlError } from './mjml.ts';

const port = parentPort;
if (port === null) throw new Error('this file is the code of a worker');
const options = {
  presets: [preset],
  validationLevel: 'soft',
  ignoreIncludes: true,
  // A mail loads no style sheets of others by itself; whoever wants a font names its address in <mj-font>.
  fonts: {},
} as const;

port.on('message', (source: string) => {
  void compile(source).then((compiled) => port.postMessage(compiled));
});

async function compile(source: string): Promise<Compiled> {
  const include = /<mj-include\b/i.exec(source);
  if (include)
    return { html: '', errors: [{ line: lineAt(source, include.index), message: 'mj-include is not available' }] };
  try {
    const { html, errors } = await mjml.default(source, options);
    return {
      html,
      errors: errors.map(({ line, tagName, message }): MjmlError => ({ line, message: `<${tagName}> ${message}` })),
    };
  } catch (error) {
    return { html: '', errors: [{ line: 0, message: error instanceof Error ? error.message : String(error) }] };
  }
}

function lineAt(source: string, index: number): number {
  return source.slice(0, index).split('\n').length;
}
