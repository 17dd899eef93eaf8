// Loaded into services by `npm run faults` (--import): their wall clock is what the file of their name says it is, in milliseconds
// off the true one. Timers and performance.now go on undisturbed, as they do when a machine's clock is set.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const file = join(process.env.FAULTS_CLOCK_DIR ?? '', process.env.SERVICE_NAME ?? '');
let offset = 0;
const read = () => {
  try {
    offset = Number(readFileSync(file, 'utf8')) || 0;
  } catch {
    offset = 0;
  }
};
read();
setInterval(read, 100).unref();

const True = Date;
globalThis.Date = class extends True {
  constructor(...args) {
    super(...(args.length === 0 ? [True.now() + offset] : args));
  }
  static now() {
    return True.now() + offset;
  }
};
