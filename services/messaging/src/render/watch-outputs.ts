import { type Context, type Emitter, Output, type Template as Parsed, toValueSync } from 'liquidjs';
import { variablesIn } from '../core/template-variables.ts';

const REGISTER = 'recur.missing';
const MAX_NAMES = 50;

/** Has every `{{ … }}` that names a variable and has no default tell when it prints nothing. Once for each parsed template. */
export function watchOutputs(templates: readonly Parsed[]): void {
  for (const template of templates) {
    if (template instanceof Output) watch(template);
    else if (template.children) watchOutputs(toValueSync(template.children(false, true)) as Parsed[]);
  }
}

/** Names of variables that print nothing from now on are put into the set. */
export function noteMissing(context: Context, missing: Set<string>): void {
  context.setRegister(REGISTER, missing);
}

function watch(output: Output): void {
  if (output.value.filters.some(({ name }) => name === 'default')) return;
  const [variable] = variablesIn([output]);
  if (!variable) return;
  const render = output.render.bind(output);
  output.render = function* (context: Context, emitter: Emitter): IterableIterator<unknown> {
    const told: Emitter = {
      buffer: '',
      write: (value) => {
        if (value === undefined || value === null || value === '') note(context, variable.name);
        emitter.write(value);
      },
    };
    // What it yields is for the renderer to resolve, and to hand back.
    return yield* render(context, told) as Generator<unknown, unknown, unknown>;
  };
}

function note(context: Context, name: string): void {
  const missing = context.getRegister<Set<string> | undefined>(REGISTER);
  if (missing && missing.size < MAX_NAMES) missing.add(name);
}
