import { readFileSync } from 'node:fs';

/** In the image of operations, which has neither npm nor a local cluster; main.ts says so. */
const inImage = (): boolean => process.env.RECUR_OPERATIONS !== undefined;

/** How somebody calls a command where this runs. */
export const called = (command: string): string => (inImage() ? command : `npm run ${command} --`);

/** For whoever named no cluster. @param dir where a local one was looked for @param variables that name another */
export const nothingRuns = (dir: string, variables = 'NATS_URL and REDIS_URL'): string =>
  inImage()
    ? `Which cluster? Set ${variables}.`
    : `Nothing runs in ${dir}: start it with npm run up, or set ${variables}.`;

/** API_TOKEN, or the first token of API_TOKENS_FILE, as services have it. Empty when there is neither. */
export function apiToken({ API_TOKEN: token, API_TOKENS_FILE: file }: NodeJS.ProcessEnv): string {
  if (token || !file) return token ?? '';
  return Object.keys(JSON.parse(readFileSync(file, 'utf8')))[0] ?? '';
}
