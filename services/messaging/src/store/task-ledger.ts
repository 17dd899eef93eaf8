import type { Redis } from 'ioredis';
import type { Reference, Tokens } from '../links/tokens.ts';

const WAITING = 'messaging:wecom:waiting';
const ASKING = 'messaging:wecom:asking';
const DAY_MS = 86_400_000;
/** Days a task's number is known to be of a message we have. */
const KEEP_DAYS = 2;
/** A task nobody confirmed so long is left. */
const GIVE_UP_MS = 7 * DAY_MS;
const FIRST_MS = 60_000;
const LONGEST_MS = 6 * 3_600_000;

/** A task whose message nobody knows the fate of yet. */
export interface WaitingTask {
  readonly msgid: string;
  readonly about: Reference;
  /** As it stands in the ledger. */
  readonly entry: string;
  /** When it was taken, ms since 1970. */
  readonly takenMs: number;
}

/**
 * Tasks the provider took: whose results are to be asked for, ever more rarely as they grow old, and whose numbers are known to be of
 * which messages. In Redis, so that any process asks.
 */
export class TaskLedger {
  private readonly redis: Pick<Redis, 'zadd' | 'zrangebyscore' | 'zrem' | 'set' | 'sadd' | 'expire' | 'smismember'>;
  private readonly tokens: Tokens;
  private readonly now: () => number;

  constructor(redis: TaskLedger['redis'], tokens: Tokens, now: () => number) {
    this.redis = redis;
    this.tokens = tokens;
    this.now = now;
  }

  async taken(msgid: string, about: Reference): Promise<void> {
    const at = this.now();
    const day = Math.floor(at / DAY_MS);
    const entry = `${at} ${msgid} ${this.tokens.make('receipt', about)}`;
    await Promise.all([
      this.redis.zadd(WAITING, at + FIRST_MS, entry),
      this.redis.sadd(dayKey(day), msgid),
      this.redis.expire(dayKey(day), (KEEP_DAYS * DAY_MS) / 1000),
    ]);
  }

  /** Those of these tasks that are known to be of a message. */
  readonly known = async (msgids: readonly string[]): Promise<Set<string>> => {
    const known = new Set<string>();
    if (msgids.length === 0) return known;
    const day = Math.floor(this.now() / DAY_MS);
    for (let back = 0; back < KEEP_DAYS; back++) {
      const hits = await this.redis.smismember(dayKey(day - back), ...msgids);
      hits.forEach((hit, i) => {
        if (hit === 1) known.add(msgids[i] as string);
      });
    }
    return known;
  };

  /** Whether it is this process that asks, for the next `ms`. */
  async turn(ms: number): Promise<boolean> {
    return (await this.redis.set(ASKING, '1', 'PX', ms, 'NX')) === 'OK';
  }

  /** Those to be asked about now, the longest due first. */
  async due(limit: number): Promise<WaitingTask[]> {
    const entries = await this.redis.zrangebyscore(WAITING, '-inf', this.now(), 'LIMIT', 0, limit);
    const tasks: WaitingTask[] = [];
    for (const entry of entries) {
      const [at, msgid, token] = entry.split(' ') as [string, string, string];
      const about = this.tokens.read('receipt', token);
      // Sealed by a key there is no more.
      if (about) tasks.push({ msgid, about, entry, takenMs: Number(at) });
      else await this.redis.zrem(WAITING, entry);
    }
    return tasks;
  }

  /** Nobody has sent it yet: asked again when it is half as old again. */
  async later({ entry, takenMs }: WaitingTask): Promise<void> {
    const age = this.now() - takenMs;
    if (age > GIVE_UP_MS) await this.redis.zrem(WAITING, entry);
    else await this.redis.zadd(WAITING, this.now() + Math.min(LONGEST_MS, Math.max(FIRST_MS, age / 2)), entry);
  }

  async done({ entry }: WaitingTask): Promise<void> {
    await this.redis.zrem(WAITING, entry);
  }
}

const dayKey = (day: number): string => `messaging:wecom:taken:${day}`;
