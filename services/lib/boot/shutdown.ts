import type { Logger } from '#lib/telemetry/logger.ts';

/** One step of ending: what it is called in the log, and what it does within the time left. */
export interface Step {
  readonly name: string;
  run(leftMs: number): Promise<unknown>;
}

/**
 * Runs the steps one after the other. A step that fails or takes too long does not keep the next ones from their turn.
 * @returns whether all of them succeeded in time
 */
export async function runSteps(steps: readonly Step[], limitMs: number, logger: Logger): Promise<boolean> {
  const end = performance.now() + limitMs;
  let clean = true;
  for (const [index, { name, run }] of steps.entries()) {
    // The later steps are quick, but must get their turn: a share of what is left is kept for them.
    const left = end - performance.now();
    const mine = index === steps.length - 1 ? left : left * 0.8;
    try {
      await within(Promise.resolve(run(mine)), mine);
    } catch (error) {
      clean = false;
      logger.error({ err: error, step: name }, 'a step of ending failed');
    }
  }
  return clean;
}

async function within(work: Promise<unknown>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`took longer than ${Math.round(ms)} ms`)), Math.max(0, ms));
  });
  try {
    await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
