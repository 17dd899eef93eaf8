import { Child, type ChildSpec, StartError } from './child.ts';
import { freePort, privatePort, releasePort } from './ports.ts';

/** A real server of our own, and what can be done to it. */
export interface Server {
  readonly name: string;
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  readonly running: boolean;
  /** SIGTERM, and SIGKILL when that takes too long. */
  stop(): Promise<void>;
  kill9(): Promise<void>;
  pause(): void;
  resume(): void;
  /** Same folder, same port; also after kill9. */
  restart(): Promise<void>;
  logTail(lines?: number): string;
}

type Ports<P extends readonly unknown[]> = { [K in keyof P]: number };

/**
 * Starts a server on free ports. A port that was free when we looked can be somebody else's when the server binds it;
 * then it is tried again on others.
 */
export async function startOnFreePort<const P extends readonly (number | undefined)[]>(
  preferred: P,
  specOf: (ports: Ports<P>) => ChildSpec,
): Promise<{ child: Child; ports: Ports<P> }> {
  for (let attempt = 1; ; attempt++) {
    const ports: number[] = [];
    for (const port of preferred) ports.push(await (port === undefined ? privatePort() : freePort(port)));
    try {
      return { child: await Child.start(specOf(ports as Ports<P>)), ports: ports as Ports<P> };
    } catch (error) {
      for (const port of ports) releasePort(port);
      if (!portWasTaken(error) || attempt === 3) throw error;
    }
  }
}

/** Whether a process ended because somebody else had its port. */
export function portWasTaken(error: unknown): error is StartError {
  return error instanceof StartError && /address already in use|EADDRINUSE/i.test(error.log);
}

/** The first port is the one it is reached at. */
export function serverOf(child: Child, ports: readonly number[], url: string): Server {
  return {
    name: child.name,
    url,
    port: ports[0] ?? 0,
    get pid() {
      return child.pid;
    },
    get running() {
      return child.running;
    },
    stop: async () => {
      await child.stop();
      for (const port of ports) releasePort(port);
    },
    kill9: () => child.kill9(),
    pause: () => child.pause(),
    resume: () => child.resume(),
    restart: () => child.restart(),
    logTail: (lines) => child.logTail(lines),
  };
}
