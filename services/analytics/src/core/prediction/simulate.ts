import type { BgNbd } from './bg-nbd.ts';
import type { History } from './history.ts';

/** Histories of customers who behave exactly as the model says, for tests: the same seed gives the same ones. */
export function simulate({ r, alpha, a, b }: BgNbd, customers: number, weeks: number, seed: number): History[] {
  const uniform = uniforms(seed);
  return Array.from({ length: customers }, () => {
    const age = Math.floor(uniform() * weeks * 7) / 7;
    const rate = gamma(r, uniform) / alpha;
    const leaves = a === 0 ? 0 : beta(a, b, uniform);
    let repeats = 0;
    let recency = 0;
    for (let at = 0; repeats === 0 || uniform() >= leaves; repeats++, recency = at) {
      at += -Math.log(1 - uniform()) / rate;
      if (at > age) break;
    }
    return { repeats, recency, age };
  });
}

/** mulberry32: numbers from 0 to 1. */
export function uniforms(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

function beta(a: number, b: number, uniform: () => number): number {
  const x = gamma(a, uniform);
  return x / (x + gamma(b, uniform));
}

/** Marsaglia and Tsang. */
function gamma(shape: number, uniform: () => number): number {
  if (shape < 1) return gamma(shape + 1, uniform) * uniform() ** (1 / shape);
  const d = shape - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const x = normal(uniform);
    const v = (1 + c * x) ** 3;
    if (v > 0 && Math.log(uniform() || 1e-300) < 0.5 * x * x + d - d * v + d * Math.log(v)) return d * v;
  }
}

export const normal = (uniform: () => number): number =>
  Math.sqrt(-2 * Math.log(uniform() || 1e-300)) * Math.cos(2 * Math.PI * uniform());
