// node services/lib/seal/bench/identifier-hasher.bench.ts
import { IdentifierHasher } from '../identifier-hasher.ts';
import { KeyRing } from '../keys.ts';
import { Sealer } from '../sealer.ts';

const keys = new KeyRing([{ id: 1, bytes: Buffer.alloc(32, 1) }]);

function measure(name: string, count: number, work: (index: number) => unknown): void {
  for (let index = 0; index < count / 4; index++) work(index);
  const start = performance.now();
  for (let index = 0; index < count; index++) work(index);
  console.log(`${name}: ${(((performance.now() - start) / count) * 1000).toFixed(3)} µs`);
}

const hasher = new IdentifierHasher(keys, 50_000);
// Values arrive as new strings each time, parsed from a request: their own hash has to be computed as well.
const text = JSON.stringify(Array.from({ length: 20_000 }, (_, index) => `customer-${index}@example.org`));
const arrivals = Array.from({ length: 20 }, () => JSON.parse(text) as string[]).flat();
measure('hash, hit, new string each time', arrivals.length - 1, (index) =>
  hasher.hash('email', arrivals[index] as string),
);
measure('hash, hit, same string', 1_000_000, (index) => hasher.hash('email', arrivals[index % 20_000] as string));
measure('hash, miss', 200_000, (index) => hasher.hash('phone', `+86138${index}`));

const sealer = new Sealer(keys);
const sealed = sealer.seal('"ann@example.org"');
measure('seal 17 bytes', 100_000, () => sealer.seal('"ann@example.org"'));
measure('open 17 bytes', 100_000, () => sealer.open(sealed));
