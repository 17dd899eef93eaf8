import { type ChildProcess, fork } from 'node:child_process';
import { pinnedNode, plainEnv } from '#tools/servers/node.ts';
import { endWithUs, forget } from '#tools/servers/watchdog.ts';

/** A process of a bare loop. It says once that it is ready, and answers when asked how far it is. */
export interface BareProcess {
  readonly name: string;
  readonly pid: number;
  /** What it said when it was ready: its port, for a server. */
  readonly ready: Record<string, unknown>;
  /** Sequence of the stream it reads up to which all is done. */
  through(): Promise<number>;
  stop(): Promise<void>;
}

export async function startBare(
  name: string,
  file: string,
  env: Readonly<Record<string, string>>,
): Promise<BareProcess> {
  const child = fork(file, [], {
    execPath: pinnedNode(),
    execArgv: [],
    env: { ...plainEnv(), ...env },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const pid = child.pid ?? 0;
  endWithUs(pid);
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const ready = await answer(child, name, () => {});
  return {
    name,
    pid,
    ready,
    through: async () => Number((await answer(child, name, () => child.send('through'))).through),
    stop: async () => {
      child.kill('SIGTERM');
      await ended;
      forget(pid);
    },
  };
}

/** Its next message. */
function answer(child: ChildProcess, name: string, ask: () => void): Promise<Record<string, unknown>> {
  return new Promise((resolve, reject) => {
    const gone = () => reject(new Error(`${name} ended`));
    child.once('exit', gone);
    child.once('message', (message) => {
      child.off('exit', gone);
      resolve(message as Record<string, unknown>);
    });
    ask();
  });
}

/** In the child: what it needs from its environment. */
export function given(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set`);
  return value;
}

/** In the child: says that it is ready, and from then on how far it is. It ends with whoever started it. */
export function announce(ready: Record<string, unknown>, through: () => number): void {
  process.on('message', () => process.send?.({ through: through() }));
  process.on('disconnect', () => process.exit(0));
  process.on('SIGTERM', () => process.exit(0));
  process.send?.(ready);
}
