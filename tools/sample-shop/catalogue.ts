import type { Random } from './random.ts';

export interface Product {
  readonly id: string;
  readonly name: string;
  readonly category: string;
  /** In the shop's currency, two decimals. */
  readonly price: number;
  /** Days until it is used up; undefined for what nobody buys regularly. */
  readonly lasts: number | undefined;
}

/** Price range and rhythm of each category of a skincare and household shop. */
const CATEGORIES: readonly { name: string; low: number; high: number; lasts?: number; words: readonly string[] }[] = [
  { name: 'cleanser', low: 39, high: 129, lasts: 45, words: ['Foam', 'Gel', 'Milk'] },
  { name: 'serum', low: 159, high: 499, lasts: 60, words: ['Vitamin C', 'Retinol', 'Hyaluron'] },
  { name: 'sunscreen', low: 69, high: 199, lasts: 50, words: ['Daily SPF 50', 'Outdoor SPF 50+', 'Tinted SPF 30'] },
  { name: 'mask', low: 29, high: 99, lasts: 30, words: ['Sheet', 'Clay', 'Sleeping'] },
  { name: 'makeup', low: 49, high: 299, words: ['Lipstick', 'Cushion', 'Palette'] },
  { name: 'hair', low: 45, high: 169, lasts: 40, words: ['Shampoo', 'Conditioner', 'Oil'] },
  { name: 'gift', low: 199, high: 899, words: ['Box', 'Set', 'Card'] },
];

export const CATEGORY_NAMES = CATEGORIES.map((c) => c.name);

export function makeCatalogue(random: Random, perCategory = 20): Product[] {
  return CATEGORIES.flatMap((category, c) =>
    Array.from({ length: perCategory }, (_, i): Product => {
      const price = Math.round(category.low + random.next() * (category.high - category.low)) - 0.1;
      const name = `${random.pick(category.words)} ${String.fromCharCode(65 + (i % 26))}${i}`;
      const id = `p${c}${String(i).padStart(2, '0')}`;
      return { id, name, category: category.name, price: Math.round(price * 100) / 100, lasts: category.lasts };
    }),
  );
}
