/**
 * A copy to be kept: it takes no more memory than it has bytes. What `Buffer.from` makes is a piece of 8 KB, all of which stays for
 * as long as one of its pieces does.
 */
export function ownBytes(bytes: Uint8Array): Buffer {
  const own = Buffer.allocUnsafeSlow(bytes.length);
  own.set(bytes);
  return own;
}
