import { status } from '@grpc/grpc-js';
import type { ComputedTrait } from '#gen/recur/profile/v1/computed_trait.ts';
import type { ProfileDefinitionServiceClient } from '#gen/recur/profile/v1/profile_definition_service.ts';
import type { Rule } from '#gen/recur/segmentation/v1/rule.ts';
import type { Uses } from '#lib/definitions/uses.ts';
import type { Call } from '#lib/rpc/call.ts';
import type { RpcClient } from '#lib/rpc/client.ts';
import { RpcError, unavailable } from '#lib/rpc/errors.ts';
import type { Logger } from '#lib/telemetry/logger.ts';
import { COUNTER_PREFIX, countersOf } from '../core/counting.ts';

type Profile = RpcClient<(typeof ProfileDefinitionServiceClient)['service']>;

/** Left of the caller's deadline for the answer. */
const MARGIN_MS = 300;
const LOOK_MS = 100;
/** Unused ones stay so long: somebody may be about to use them. */
const IDLE_MS = 3_600_000;
const SWEEP_MS = 600_000;

/** The computed traits of profile that rules bring along: made before a rule is stored, taken away when no rule is left. */
export class Counters {
  readonly #profile: Profile | undefined;
  readonly #own: Profile | undefined;
  readonly #uses: Uses;
  readonly #logger: Logger;
  #timer: NodeJS.Timeout | undefined;

  /** @param connect a client that calls in this service's own name, or in that of whoever called it */
  constructor(connect: (name: 'own' | 'caller') => Profile | undefined, uses: Uses, logger: Logger) {
    this.#profile = connect('caller');
    this.#own = connect('own');
    this.#uses = uses;
    this.#logger = logger;
  }

  /** Resolves when history is counted everywhere. @throws UNAVAILABLE when that takes longer than the caller waits */
  async ready(rule: Rule, call: Call): Promise<void> {
    const counters = countersOf(rule);
    if (counters.length === 0) return;
    if (this.#profile === undefined) {
      throw unavailable('Profile counts events by properties and in sequence: PROFILE_ADDR is not configured.');
    }
    for (const counter of counters) await this.#have(this.#profile, counter, call);
    for (const counter of counters) await this.#complete(this.#profile, counter, call);
  }

  /** Makes it, or shows that it is wanted: what nobody wants is taken away after a while. */
  async #have(profile: Profile, computedTrait: ComputedTrait, parent: Call): Promise<void> {
    try {
      await profile.createComputedTrait({ computedTrait, requestId: '' }, { parent });
    } catch (error) {
      if (!(error instanceof RpcError) || error.code !== status.ALREADY_EXISTS) throw error;
      await profile.updateComputedTrait({ computedTrait, requestId: '' }, { parent });
    }
  }

  async #complete(profile: Profile, { id, englishName }: ComputedTrait, parent: Call): Promise<void> {
    for (;;) {
      const { completePartitions, partitions } = await profile.getComputedTrait({ id }, { parent });
      if (completePartitions === partitions) return;
      if (Date.now() > parent.deadlineMs - MARGIN_MS - LOOK_MS) {
        const how = `${completePartitions} of ${partitions} partitions`;
        throw unavailable(`History is being counted (${englishName}; ${how} done): call again.`, {
          retryAfterMs: 2000,
        });
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }

  start(): void {
    this.#timer = setInterval(() => void this.sweep().catch((error) => this.#failed(error)), SWEEP_MS);
    this.#timer.unref();
  }

  /** Nest's hook: ends with its module. */
  onModuleDestroy(): void {
    clearInterval(this.#timer);
    this.#profile?.close();
    this.#own?.close();
  }

  /** Takes away those that no rule has read for an hour. */
  async sweep(now = Date.now()): Promise<void> {
    if (this.#own === undefined) return;
    for (let pageToken = ''; ; ) {
      const page = await this.#own.listComputedTraits({ pageSize: 500, pageToken });
      for (const { id, revision, updateTimeMs } of page.computedTraits) {
        const idle = now - updateTimeMs > IDLE_MS && this.#uses.of('computed_trait', id).length === 0;
        if (!id.startsWith(COUNTER_PREFIX) || !idle) continue;
        await this.#own.deleteComputedTrait({ id, revision, requestId: '' }).catch((error) => this.#failed(error));
      }
      pageToken = page.nextPageToken;
      if (pageToken === '') return;
    }
  }

  #failed(error: unknown): void {
    this.#logger.warn({ err: error }, 'a computed trait no rule reads is still there');
  }
}
