import { Cron } from 'croner';
import type { Logger } from '#lib/telemetry/logger.ts';
import { dayBefore } from '../core/prediction/days.ts';
import type { Run } from '../store/prediction-store.ts';
import type { PredictionRunner } from './runner.ts';

export interface ScheduleSettings {
  /** Cron expression, in the shop's time zone. */
  readonly at: string;
  readonly timeZone: string;
  readonly horizonDays: number;
  readonly now: () => Promise<Now>;
  /** The run of this id, if there is one. */
  readonly known: (runId: string) => Promise<Run | undefined>;
}

export interface Now {
  readonly ms: number;
  /** The day that is not known yet, YYYY-MM-DD of the shop. */
  readonly today: string;
}

/**
 * Every night: what will be, and what would have been said a horizon ago, to be held against what came. A run is named after its
 * day: one that is made, of somebody at all, is not made again.
 */
export function schedulePredictions(runner: PredictionRunner, settings: ScheduleSettings, logger: Logger): () => void {
  const { at, timeZone, horizonDays } = settings;
  const job = new Cron(
    at,
    { timezone: timeZone, protect: true, catch: (err) => logger.error({ err }, 'predictions') },
    () => nightly(runner, settings, logger),
  );
  logger.info({ at, timeZone, horizonDays, next: job.nextRun()?.toISOString() }, 'predictions scheduled');
  return () => job.stop();
}

/** Both runs of a night; one that fails does not keep the other from being made. */
export async function nightly(
  runner: PredictionRunner,
  { horizonDays, now, known }: Pick<ScheduleSettings, 'horizonDays' | 'now' | 'known'>,
  logger: Logger,
): Promise<void> {
  const { ms, today: day } = await now();
  const before = dayBefore(day, horizonDays);
  const runs = [
    { runId: `schedule-${day}`, asOf: day, trigger: 'schedule', tellAtMs: ms },
    { runId: `backtest-${before}-${horizonDays}`, asOf: before, trigger: 'backtest' },
  ] as const;
  for (const run of runs) {
    try {
      const before = await known(run.runId);
      if (before?.status === 'done' && before.customers > 0) continue;
      const { customers, startedAtMs, finishedAtMs } = await runner.start({ ...run, horizonDays });
      logger.info({ ...run, customers, seconds: (finishedAtMs - startedAtMs) / 1_000 }, 'predictions made');
    } catch (err) {
      logger.error({ err, ...run }, 'predictions failed');
    }
  }
}
