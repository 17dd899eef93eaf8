/*
 * The code HPACK writes texts in (RFC 7541, appendix B). It is canonical: codes of the same length count up in the order of their
 * symbols, so the lengths say all.
 */

/** Bits of each byte's code. */
const LENGTHS: readonly number[] = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28,
  28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6,
  5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23,
  22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22,
  23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26,
  20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27,
  27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27,
  27, 27, 27, 26,
];
/** The end of a text: never written whole, its first bits fill the last byte. */
const END = 256;
const END_LENGTH = 30;
const MOST_PADDING = 7;

/** Two places a node: where a 0 and where a 1 leads; below zero to a symbol, as `-1 - symbol`. */
const tree = makeTree();
/** As long as a text can become out of a block of 32 KB, whose shortest code has 5 bits. */
const scratch = Buffer.allocUnsafeSlow((32 * 1024 * 8) / 5 + 1);

/** The text of these bytes; undefined when they are none. */
export function huffmanText(bytes: Buffer, from: number, to: number): string | undefined {
  let length = 0;
  let node = 0;
  let depth = 0;
  let ones = true;
  for (let at = from; at < to; at++) {
    const byte = bytes[at] as number;
    for (let bit = 7; bit >= 0; bit--) {
      const one = (byte >>> bit) & 1;
      const next = tree[node + one] as number;
      depth += 1;
      ones &&= one === 1;
      if (next >= 0) {
        node = next;
        continue;
      }
      if (next === -1 - END || length === scratch.length) return undefined;
      scratch[length++] = -1 - next;
      node = 0;
      depth = 0;
      ones = true;
    }
  }
  return depth <= MOST_PADDING && ones ? scratch.toString('latin1', 0, length) : undefined;
}

function makeTree(): Int16Array {
  const symbols = [...LENGTHS.keys(), END].sort((a, b) => lengthOf(a) - lengthOf(b) || a - b);
  const nodes = new Int16Array(2 * symbols.length);
  let made = 2;
  let code = 0;
  let length = lengthOf(symbols[0] as number);
  for (const symbol of symbols) {
    code <<= lengthOf(symbol) - length;
    length = lengthOf(symbol);
    let node = 0;
    for (let bit = length - 1; bit > 0; bit--) {
      const place = node + ((code >>> bit) & 1);
      if (nodes[place] === 0) {
        nodes[place] = made;
        made += 2;
      }
      node = nodes[place] as number;
    }
    nodes[node + (code & 1)] = -1 - symbol;
    code += 1;
  }
  return nodes;
}

function lengthOf(symbol: number): number {
  return symbol === END ? END_LENGTH : (LENGTHS[symbol] as number);
}
