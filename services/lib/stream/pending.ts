/** Outside work as stored: length of the customer id, the id, the processor's bytes. */
export function encodePending(work: { customerId: string; bytes: Uint8Array }): Buffer {
  const id = Buffer.from(work.customerId);
  return Buffer.concat([Buffer.of(id.length), id, work.bytes]);
}

export function decodePending(stored: Uint8Array): { customerId: string; bytes: Uint8Array } {
  const length = stored[0] ?? 0;
  return { customerId: Buffer.from(stored.subarray(1, 1 + length)).toString(), bytes: stored.subarray(1 + length) };
}
