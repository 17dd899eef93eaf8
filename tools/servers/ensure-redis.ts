import { atLeast, onPath, type Progress, toStderr, versionOf } from './binaries.ts';
import { installWithoutService, isDebian, isRoot } from './debian.ts';

const OLDEST = [7];
const PROGRAM = 'redis-server';

/** The path of a redis-server 7 or later: found, or installed where that can be done without asking. */
export async function ensureRedis(options: { progress?: Progress } = {}): Promise<string> {
  const { progress = toStderr } = options;
  const named = process.env.REDIS_SERVER;
  const found = named || onPath(PROGRAM);
  if (found !== undefined) return checked(found);

  if (!isRoot() || !isDebian()) throw new Error(advice(`There is no ${PROGRAM} on the PATH.`));
  progress(`Installing ${PROGRAM} with apt-get (its system service is not started) …`);
  await installWithoutService(PROGRAM).catch((error: Error) => {
    throw new Error(advice(error.message));
  });
  const path = onPath(PROGRAM);
  if (path === undefined)
    throw new Error(advice(`The package was installed, and there is still no ${PROGRAM} on the PATH.`));
  return checked(path);
}

async function checked(path: string): Promise<string> {
  const version = await versionOf(path, /v=(\d+)\.(\d+)\.(\d+)/);
  if (version === undefined) throw new Error(advice(`${path} does not run as a ${PROGRAM}.`));
  if (!atLeast(version, OLDEST)) throw new Error(advice(`${path} is version ${version.join('.')}, which is too old.`));
  return path;
}

function advice(why: string): string {
  return [
    why,
    `Recur needs ${PROGRAM} 7 or later. Install it, for example:`,
    '  - Debian, Ubuntu: sudo apt-get install redis-server',
    '  - macOS:          brew install redis',
    '  - anywhere:       name one in REDIS_SERVER',
  ].join('\n');
}
