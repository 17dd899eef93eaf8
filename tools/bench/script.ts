import { spawn } from 'node:child_process';
import { pinnedNode, plainEnv } from '#tools/servers/node.ts';
import { endWithUs, forget } from '#tools/servers/watchdog.ts';

/** Runs a bench script of a service as a process of its own; shows what it says and returns it. */
export async function runScript(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<string> {
  const child = spawn(pinnedNode(), [...args], {
    env: { ...plainEnv(), ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const pid = child.pid ?? 0;
  endWithUs(pid);
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
    process.stdout.write(text);
  });
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  forget(pid);
  if (code !== 0) throw new Error(`${args[0]} ended with ${code}`);
  return output;
}
