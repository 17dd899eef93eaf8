const UNITS: Record<string, number> = {
  '': 1,
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
};

/** A quantity of Kubernetes as a number: `500m` → 0.5, `1Gi` → 2^30. @throws when it is none */
export function quantity(text: string | number): number {
  const [, number, unit = ''] = /^([0-9.]+)([A-Za-z]*)$/.exec(String(text)) ?? [];
  const factor = UNITS[unit];
  if (number === undefined || factor === undefined) throw new Error(`${text} is no quantity`);
  return Number(number) * factor;
}

/** Sizes as NATS (`54GB`) and Redis (`5gb`) write them, in bytes: both mean powers of two. */
export function bytes(text: string): number {
  const [, number, unit = ''] = /^(\d+)\s*([kmgt]?)b$/i.exec(text.trim()) ?? [];
  if (number === undefined) throw new Error(`${text} is no size`);
  return Number(number) * 1024 ** ' kmgt'.indexOf(unit.toLowerCase() || ' ');
}
