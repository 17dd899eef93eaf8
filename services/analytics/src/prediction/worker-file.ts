import { existsSync } from 'node:fs';
import { join } from 'node:path';

/**
 * The code of the worker: beside the bundle in production, in prediction/ when run from source.
 * @param here directory of the bundle, or of src
 */
export function workerFile(here: string): string {
  for (const name of ['predict.worker.js', 'prediction/predict.worker.ts']) {
    const file = join(here, name);
    if (existsSync(file)) return file;
  }
  throw new Error(`predict.worker is missing in ${here}: the service was not built completely`);
}
