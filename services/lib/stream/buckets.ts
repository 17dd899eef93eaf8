import type { Redis } from 'ioredis';

/**
 * States in buckets: a hash for every few dozen customers who are neighbours by id, small enough that Redis keeps it as one piece of
 * memory (`hash-max-listpack-value`), so that a customer costs an id and a value and nothing around them. A directory of the buckets
 * takes the place of an index of the customers.
 *
 *   :b           directory: the lowest id of each bucket, in order; the first is '' and not in it
 *   :b:<lowest>  bucket: customers from this id to that of the next
 *
 * Ids are compared by their bytes, everywhere.
 */
export const directoryKey = (tag: string): string => `${tag}:b`;

/** Customers a bucket has before it is cut, and in the pieces of one that is cut in the middle. */
const MOST = 32;
const PIECE = 24;

/** In all of these KEYS has the directory, from which the other keys are made: it carries the prefix of the connection, if any. */
const LOOK_UP = `
local function bound(dir, id)
  return redis.call('ZREVRANGEBYLEX', dir, '[' .. id, '-', 'LIMIT', 0, 1)[1] or ''
end
local function keyOf(dir, id) return string.sub(dir, 1, -2) .. 's:' .. id end
local function indexOf(dir) return string.sub(dir, 1, -2) .. 'c' end
local function before(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then return x < y end
  end
  return #a < #b
end`;

/**
 * `write` puts a value ('' takes it away) into a bucket; who does that otherwise says to `grown` how many are new: it notes buckets that
 * have too many. `cut` cuts them, and adds the new lowest ids to `made`. A bucket at the end fills up, since ids grow with time; others are cut into even pieces. What is cut is made anew, so
 * that one that had grown out of its small form is small again.
 */
export const WRITE = `${LOOK_UP}
local full = {}
local function grown(dir, low, fresh)
  if fresh > 0 and redis.call('HLEN', dir .. ':' .. low) > ${MOST} then full[low] = true end
end
local function write(dir, low, id, value)
  local bucket = dir .. ':' .. low
  if value == '' then redis.call('HDEL', bucket, id) else grown(dir, low, redis.call('HSET', bucket, id, value)) end
end
local function cut(dir, low, made)
  local bucket = dir .. ':' .. low
  local flat = redis.call('HGETALL', bucket)
  local ids, values = {}, {}
  for i = 1, #flat, 2 do
    ids[#ids + 1] = flat[i]
    values[flat[i]] = flat[i + 1]
  end
  if #ids <= ${MOST} then return end
  table.sort(ids, before)
  local last = #redis.call('ZRANGEBYLEX', dir, '(' .. low, '+', 'LIMIT', 0, 1) == 0
  local size = last and ${MOST} or math.ceil(#ids / math.ceil(#ids / ${PIECE}))
  redis.call('DEL', bucket)
  for from = 1, #ids, size do
    local piece = {}
    for i = from, math.min(from + size - 1, #ids) do
      piece[#piece + 1] = ids[i]
      piece[#piece + 1] = values[ids[i]]
    end
    local lowest = from == 1 and low or ids[from]
    redis.call('HSET', dir .. ':' .. lowest, unpack(piece))
    if from > 1 then
      redis.call('ZADD', dir, 0, lowest)
      made[#made + 1] = lowest
    end
  end
end`;

/** KEYS: directory, owner, position. ARGV: bucket, id, bucket, id … Owner, position, and the states, from their buckets or own keys. */
const READ = `${LOOK_UP}
local found = { redis.call('GET', KEYS[2]), redis.call('GET', KEYS[3]) }
for i = 1, #ARGV, 2 do
  found[#found + 1] = redis.call('HGET', KEYS[1] .. ':' .. ARGV[i], ARGV[i + 1]) or redis.call('GET', keyOf(KEYS[1], ARGV[i + 1]))
end
return found`;

/** KEYS: directory. ARGV: ids. Their states, whatever the layout. */
const FIND = `${LOOK_UP}
local found = {}
for i = 1, #ARGV do
  local id = ARGV[i]
  found[i] = redis.call('HGET', KEYS[1] .. ':' .. bound(KEYS[1], id), id) or redis.call('GET', keyOf(KEYS[1], id))
end
return found`;

/** KEYS: directory. ARGV: an id, how many, '1' for states too. Customers after the id, in order, with their states. */
const WALK = `${LOOK_UP}
local dir, after, limit = KEYS[1], ARGV[1], tonumber(ARGV[2])
local ids, values, low = {}, {}, bound(KEYS[1], ARGV[1])
repeat
  local flat = redis.call('HGETALL', dir .. ':' .. low)
  for i = 1, #flat, 2 do
    if before(after, flat[i]) then
      ids[#ids + 1] = flat[i]
      values[flat[i]] = flat[i + 1]
    end
  end
  low = redis.call('ZRANGEBYLEX', dir, '(' .. low, '+', 'LIMIT', 0, 1)[1]
until not low or #ids >= limit
local index = redis.call('ZRANGEBYLEX', indexOf(dir), after == '' and '-' or '(' .. after, '+', 'LIMIT', 0, limit)
for i = 1, #index do
  if not values[index[i]] then
    ids[#ids + 1] = index[i]
    values[index[i]] = redis.call('GET', keyOf(dir, index[i])) or ''
  end
end
table.sort(ids, before)
local found = {}
for i = 1, math.min(limit, #ids) do
  found[#found + 1] = ids[i]
  if ARGV[3] == '1' then found[#found + 1] = values[ids[i]] end
end
return found`;

interface Scripts {
  recurReadBuffer(directory: string, owner: string, position: string, ...args: string[]): Promise<(Buffer | null)[]>;
  recurFindBuffer(directory: string, ...ids: string[]): Promise<(Buffer | null)[]>;
  recurWalkBuffer(directory: string, after: string, limit: number, states: '1' | '0'): Promise<Buffer[]>;
}

function scripted(redis: Redis): Redis & Scripts {
  const known = redis as Redis & Partial<Scripts>;
  if (!known.recurReadBuffer) {
    redis.defineCommand('recurRead', { numberOfKeys: 3, lua: READ });
    redis.defineCommand('recurFind', { numberOfKeys: 1, lua: FIND });
    redis.defineCommand('recurWalk', { numberOfKeys: 1, lua: WALK });
  }
  return redis as Redis & Scripts;
}

/** States of customers of one partition, of whatever layout; in one step. */
export async function findStates(redis: Redis, tag: string, ids: readonly string[]): Promise<(Buffer | null)[]> {
  return ids.length === 0 ? [] : scripted(redis).recurFindBuffer(directoryKey(tag), ...ids);
}

/** Customers of a partition after `after`, in order of id, at most `limit`: those in buckets, and those in the index. */
export async function customersAfter(redis: Redis, tag: string, after: string, limit: number): Promise<string[]> {
  return (await scripted(redis).recurWalkBuffer(directoryKey(tag), after, limit, '0')).map(String);
}

/** As {@link customersAfter}, with their states. */
export async function statesAfter(
  redis: Redis,
  tag: string,
  after: string,
  limit: number,
): Promise<{ customerId: string; bytes: Buffer }[]> {
  const flat = await scripted(redis).recurWalkBuffer(directoryKey(tag), after, limit, '1');
  const found: { customerId: string; bytes: Buffer }[] = [];
  for (let i = 0; i + 1 < flat.length; i += 2)
    found.push({ customerId: String(flat[i]), bytes: flat[i + 1] as Buffer });
  return found;
}

/** What the owner of a partition, the only one who writes it, knows of its directory: no look-ups in Redis for what it reads and writes. */
export class Directory {
  readonly #lowest: string[];

  /** @param members of the directory, in order */
  constructor(members: readonly string[]) {
    this.#lowest = ['', ...members];
  }

  /** The bucket a customer is in, or would be. */
  bucketOf(customerId: string): string {
    return this.#lowest[this.#at(customerId)] as string;
  }

  /** Buckets that a commit made. */
  add(made: readonly string[]): void {
    for (const low of made) {
      const at = this.#at(low);
      if (this.#lowest[at] !== low) this.#lowest.splice(at + 1, 0, low);
    }
  }

  /** Of the last bucket that does not begin after it. */
  #at(id: string): number {
    let from = 0;
    let to = this.#lowest.length - 1;
    while (from < to) {
      const middle = (from + to + 1) >> 1;
      if (byBytes(this.#lowest[middle] as string, id) <= 0) from = middle;
      else to = middle - 1;
    }
    return from;
  }
}

/** As Redis orders them. Ids are mostly of ASCII, where characters are bytes. */
export function byBytes(a: string, b: string): number {
  if (a === b) return 0;
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x > 0x7f || y > 0x7f) return Buffer.compare(Buffer.from(a), Buffer.from(b));
    if (x !== y) return x - y;
  }
  return a.length - b.length;
}

/** The owner's read, see READ. */
export async function readOwned(
  redis: Redis,
  tag: string,
  directory: Directory,
  ids: readonly string[],
): Promise<(Buffer | null)[]> {
  const args: string[] = [];
  for (const id of ids) args.push(directory.bucketOf(id), id);
  return scripted(redis).recurReadBuffer(directoryKey(tag), `${tag}:owner`, `${tag}:position`, ...args);
}
