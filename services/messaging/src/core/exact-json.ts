/**
 * JSON in which whole numbers no double holds are kept as texts: WeChat numbers its messages with 19 digits.
 * @throws SyntaxError
 */
export function parseExactly(text: string): unknown {
  const keep = (_name: string, value: unknown, { source }: { source?: string }): unknown =>
    typeof value === 'number' && !Number.isSafeInteger(value) && /^-?\d+$/.test(source ?? '') ? source : value;
  return JSON.parse(text, keep as (name: string, value: unknown) => unknown);
}
