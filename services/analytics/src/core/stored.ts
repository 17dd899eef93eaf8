import type { Block, Stored } from './batch.ts';

/** Greatest stored sequence by table, partition of the log and month, as read from the tables. */
export class StoredPositions implements Stored {
  readonly #seqs = new Map<string, Map<number, number>>();

  set(table: string, partition: number, month: number, seq: number): void {
    let seqs = this.#seqs.get(table);
    if (!seqs) {
      seqs = new Map();
      this.#seqs.set(table, seqs);
    }
    seqs.set(partition * 1_000_000 + month, seq);
  }

  seqOf(table: string, partition: number, month: number): number {
    return this.#seqs.get(table)?.get(partition * 1_000_000 + month) ?? 0;
  }

  /** Whether the block is in its table: one insert is one part, so one of its partitions answers for all. */
  holds(block: Block): boolean {
    for (const [partition, seq] of block.lastSeq) return this.seqOf(block.table, partition, block.month) >= seq;
    return true;
  }
}
