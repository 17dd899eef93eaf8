import type { OnApplicationShutdown, OnModuleInit } from '@nestjs/common';
import type { Logger } from '#lib/telemetry/logger.ts';
import { within } from '../../links/provider-receipts.ts';
import type { Receipt } from '../../links/receipt.ts';
import type { TaskLedger, WaitingTask } from '../../store/task-ledger.ts';
import type { WecomTasks } from './wecom-tasks.ts';

export interface WecomResultsParts {
  /** Undefined: this cluster sends nothing by WeCom. */
  readonly tasks: Pick<WecomTasks, 'resultOf'> | undefined;
  readonly ledger: Pick<TaskLedger, 'turn' | 'due' | 'later' | 'done'>;
  /** False: the log does not answer. */
  readonly store: (receipts: readonly Receipt[]) => Promise<boolean>;
  readonly logger: Logger;
  /** Wall clock, milliseconds since 1970. */
  readonly now: () => number;
  /** Between rounds; 20 s when left out. */
  readonly everyMs?: number | undefined;
}

/** At two calls each, what the provider lets be asked beside all that is sent. */
const TASKS_A_ROUND = 50;

/** Asks what became of tasks, as nobody is told: one process at a time, those that are due. */
export class WecomResults implements OnModuleInit, OnApplicationShutdown {
  private readonly parts: WecomResultsParts;
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<void> | undefined;
  private stopped = false;

  constructor(parts: WecomResultsParts) {
    this.parts = parts;
  }

  onModuleInit(): void {
    if (this.parts.tasks) this.next();
  }

  async onApplicationShutdown(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    await this.running;
  }

  private next(): void {
    const { everyMs = 20_000 } = this.parts;
    this.timer = setTimeout(() => {
      this.running = this.round(everyMs).finally(() => {
        if (!this.stopped) this.next();
      });
    }, everyMs);
  }

  private async round(everyMs: number): Promise<void> {
    const { ledger, logger } = this.parts;
    try {
      // A little less than until the next round, so that this process may have that one, too.
      if (!(await ledger.turn(Math.floor(everyMs * 0.9)))) return;
      for (const task of await ledger.due(TASKS_A_ROUND)) {
        if (this.stopped || !(await this.asked(task))) return;
      }
    } catch (error) {
      logger.warn({ err: error }, 'what became of WeCom messages cannot be found out now');
    }
  }

  /** False: there is no answer, and the others are not asked about now. Next time they come before this one. */
  private async asked(task: WaitingTask): Promise<boolean> {
    const { ledger, logger } = this.parts;
    try {
      await this.ask(task);
      return true;
    } catch (error) {
      logger.warn({ err: error, msgid: task.msgid }, 'what became of a WeCom message cannot be found out now');
      await ledger.later(task);
      return false;
    }
  }

  private async ask(task: WaitingTask): Promise<void> {
    const { tasks, ledger, store, now } = this.parts;
    const result = await tasks?.resultOf(task.msgid);
    if (!result) return ledger.later(task);
    const receipt = { ...task.about, ...result, timeMs: within(result.timeMs, now()) };
    if (await store([receipt])) await ledger.done(task);
  }
}
