import { MAX_MICROS } from './limits.ts';

const DECIMAL = /^([+-]?)(\d{0,24})(?:\.(\d{0,40}))?(?:[eE]([+-]?\d{1,3}))?$/;

/**
 * Millionths of a number or of a decimal text, exact up to 6 decimals; more are rounded half to even. Undefined when it is
 * neither, or beyond ±9 billion.
 */
export function toMicros(value: unknown): number | undefined {
  if (typeof value === 'number') {
    const micros = Math.round(value * 1e6);
    // When dividing gives the same number back, it is the one with at most 6 decimals that the sender wrote.
    if (Math.abs(value) < 1e9 && micros / 1e6 === value) return micros + 0;
    return fromDecimal(String(value));
  }
  return typeof value === 'string' ? fromDecimal(value.trim()) : undefined;
}

function fromDecimal(text: string): number | undefined {
  const found = DECIMAL.exec(text);
  if (found === null) return undefined;
  const [, sign, whole = '', fraction = '', exponent = '0'] = found;
  if (whole === '' && fraction === '') return undefined;
  // digits · 10^shift millionths
  const shift = 6 - fraction.length + Number(exponent);
  if (shift > 40) return /^0*$/.test(whole + fraction) ? 0 : undefined;
  const micros = shift >= 0 ? BigInt(whole + fraction) * 10n ** BigInt(shift) : roundHalfEven(whole + fraction, -shift);
  if (micros > BigInt(MAX_MICROS)) return undefined;
  return sign === '-' ? 0 - Number(micros) : Number(micros);
}

/** `digits` without its last `cut` ones. */
function roundHalfEven(digits: string, cut: number): bigint {
  if (cut > digits.length + 1) return 0n;
  const unit = 10n ** BigInt(cut);
  const value = BigInt(digits);
  const kept = value / unit;
  const twice = (value % unit) * 2n;
  return twice > unit || (twice === unit && kept % 2n === 1n) ? kept + 1n : kept;
}
