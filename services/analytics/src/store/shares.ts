import type { PlannedShare } from '../core/shares.ts';
import { type Engine, quote } from '../engine/engine.ts';
import { DATABASE } from './migrate.ts';

/** Writing the same again changes nothing: the greatest revision counts. */
export async function writeShares(engine: Engine, shares: readonly PlannedShare[]): Promise<void> {
  if (shares.length === 0) return;
  const rows = shares.map((s) => `(${quote(s.experimentId)}, ${quote(s.variant)}, ${s.share}, ${s.revision})`);
  await engine.command(
    `INSERT INTO ${DATABASE}.experiment_shares (experiment_id, variant, share, revision) VALUES ${rows.join(', ')}`,
  );
}
