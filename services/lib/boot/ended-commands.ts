import { Command, Redis } from 'ioredis';

/*
 * What lets the objects of answered commands die young, as `lib/rpc/ended-calls.ts` does for calls. V8 puts a function that is
 * assigned to a property right where it is written (`this.reject = (err) => …`) into the old generation at once, and from there it
 * keeps its command, the command's promise, and the answer, a piece of what the socket read, until the next full collection.
 * ioredis writes one such function for every command and one more for every script. Here are the same two functions written
 * otherwise; `ended-commands.int.spec.ts` tells when an upgrade undoes it.
 */

interface Internals {
  name: string;
  args: unknown[];
  transformed: boolean;
  isResolved: boolean;
  isSettled: boolean;
  promise: Promise<unknown>;
  resolve: (value: unknown) => Promise<unknown>;
  reject: (error: Error) => void;
  readonly errorStack: Error | undefined;
  readonly callback: unknown;
  _commandTimeoutTimer: NodeJS.Timeout | undefined;
  _blockingTimeoutTimer: NodeJS.Timeout | undefined;
  initPromise(): void;
  stringifyArguments(): void;
  transformReply(value: unknown): unknown;
  toWritable(socket: object): string | Buffer;
  _clearTimers(): void;
  /** Of scripts: what they do besides when Redis refuses them. */
  refused?(error: Error): void;
}

interface Scripts {
  readonly scriptsSet: Record<
    string,
    { readonly lua: string; readonly sha: string; readonly Command: { prototype: Internals } }
  >;
}

const ofCommands = Command.prototype as unknown as Internals;
const { argument: argumentsOf } = (
  Command as unknown as { _transformer: { argument: Record<string, (args: unknown[]) => unknown[]> } }
)._transformer;

let released = false;

/** For all commands of the process. A second call does nothing. */
export function releaseEndedCommands(): void {
  if (released) return;
  released = true;
  const { initPromise } = ofCommands;
  ofCommands.initPromise = function (): void {
    // Nobody here asks for callbacks or stacks of their own.
    if (this.callback === undefined && this.errorStack === undefined) initPlainly.call(this);
    else initPromise.call(this);
  };
  // Instead of `delete`, which makes a dictionary of the command.
  ofCommands._clearTimers = function (): void {
    if (this._commandTimeoutTimer !== undefined) clearTimeout(this._commandTimeoutTimer);
    if (this._blockingTimeoutTimer !== undefined) clearTimeout(this._blockingTimeoutTimer);
    this._commandTimeoutTimer = undefined;
    this._blockingTimeoutTimer = undefined;
  };
  const { defineCommand } = Redis.prototype;
  Redis.prototype.defineCommand = function (this: Redis, ...args: Parameters<typeof defineCommand>): void {
    defineCommand.apply(this, args);
    sendPlainly((this as unknown as Scripts).scriptsSet[args[0]] as Scripts['scriptsSet'][string]);
  };
}

function initPlainly(this: Internals): void {
  this.isResolved = false;
  this.isSettled = false;
  this.promise = new Promise((resolve, reject) => {
    if (!this.transformed) {
      this.transformed = true;
      const transform = argumentsOf[this.name];
      if (transform !== undefined) this.args = transform(this.args);
      this.stringifyArguments();
    }
    // The functions have names of their own: V8 goes by how the assignment is written.
    const fail = (error: Error): void => {
      this._clearTimers();
      this.isSettled = true;
      this.refused?.(error);
      reject(error);
    };
    const answer = (value: unknown): Promise<unknown> => {
      try {
        this._clearTimers();
        resolve(this.transformReply(value));
        this.isResolved = true;
        this.isSettled = true;
      } catch (error) {
        fail(error as Error);
      }
      return this.promise;
    };
    this.resolve = answer;
    this.reject = fail;
  });
}

/** A script is sent whole the first time on a connection, and again when Redis has lost it; else by its name. */
function sendPlainly({ lua, sha, Command: Scripted }: Scripts['scriptsSet'][string]): void {
  const knownTo = new WeakSet<object>();
  const sentTo = Symbol('sentTo');
  interface Sent extends Internals {
    [sentTo]?: object;
  }
  Scripted.prototype.toWritable = function (this: Sent, socket: object): string | Buffer {
    this[sentTo] = socket;
    if (!knownTo.has(socket)) {
      knownTo.add(socket);
      this.name = 'eval';
      this.args[0] = lua;
    } else if (this.name === 'eval') {
      this.name = 'evalsha';
      this.args[0] = sha;
    }
    return ofCommands.toWritable.call(this, socket);
  };
  Scripted.prototype.refused = function (this: Sent, error: Error): void {
    const socket = this[sentTo];
    if (socket !== undefined && error.message.includes('NOSCRIPT')) knownTo.delete(socket);
  };
}
