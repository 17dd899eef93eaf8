import type { Commerce, Line } from '#gen/recur/log/v1/event.ts';
import { commerceShape } from './event-names.ts';
import type { Json } from './inspect.ts';
import { MAX_COUPON, MAX_MICROS, MAX_ORDER_ID, MAX_PART, MAX_QUANTITY } from './limits.ts';
import { toMicros } from './money.ts';
import type { Violations } from './violations.ts';

/** The first one present counts. */
const AMOUNTS = ['total', 'revenue', 'value'] as const;
/** In events with a name of the shop's own, `value` may be anything. */
const CUSTOM_AMOUNTS = ['total', 'revenue'] as const;
const CURRENCIES: Readonly<Record<string, string>> = { RMB: 'CNY', CNH: 'CNY', NTD: 'TWD' };

/**
 * Takes products and money out of an event's properties: whatever was taken becomes undefined there. Standard events must
 * have them right; in events with a name of the shop's own, what does not fit stays where it is.
 */
export function takeCommerce(
  name: string,
  properties: Json,
  shopCurrency: string,
  violations: Violations,
): Commerce | undefined {
  const shape = commerceShape(name);
  const take = new Taker(properties, shape === undefined ? undefined : violations);
  const commerce: Commerce = { orderId: '', amountMicros: 0, currency: '', part: 0, lines: [], coupon: '' };
  commerce.orderId = take.text('order_id', MAX_ORDER_ID) ?? take.text('orderId', MAX_ORDER_ID) ?? '';
  commerce.lines = shape === 'product' ? take.singleLine() : take.lines();
  const amount = take.amount(shape === undefined ? CUSTOM_AMOUNTS : AMOUNTS, shape === 'refund');
  const sum = amount === undefined ? take.sumOf(commerce.lines) : 0;
  commerce.amountMicros = amount ?? sum;
  const order = shape === 'order' || shape === 'refund';
  if (shape === 'refund') checkRefund(commerce, amount, violations);
  if (order) commerce.part = take.part() ?? 0;
  if (shape !== undefined) commerce.coupon = take.text('coupon', MAX_COUPON) ?? '';
  const present =
    order || commerce.orderId !== '' || commerce.lines.length > 0 || amount !== undefined || commerce.coupon !== '';
  if (!present) return undefined;
  commerce.currency = take.currency() ?? shopCurrency;
  return commerce;
}

/** Without an amount and without products a refund is one of the whole order; it must not become one by mistake. */
function checkRefund({ amountMicros, lines }: Commerce, amount: number | undefined, violations: Violations): void {
  if (amount === 0) {
    violations.add('properties.total', 0, 'must be greater than 0; leave it out when the whole order is refunded');
  } else if (amountMicros === 0 && lines.length > 0) {
    violations.add('properties.total', undefined, 'is needed when a refund names products without prices');
  }
}

/** Reads properties and marks them as taken. Without `violations` what does not fit is left alone. */
class Taker {
  readonly #properties: Json;
  readonly #violations: Violations | undefined;

  constructor(properties: Json, violations: Violations | undefined) {
    this.#properties = properties;
    this.#violations = violations;
  }

  text(key: string, longest: number): string | undefined {
    const value = this.#properties[key];
    if (value === undefined || value === null || value === '') return undefined;
    const text = typeof value === 'string' ? value.trim() : typeof value === 'number' ? String(value) : undefined;
    if (text === undefined || text.length > longest) {
      this.#violations?.add(`properties.${key}`, value, `must be text of at most ${longest} characters`);
      return undefined;
    }
    this.#properties[key] = undefined;
    return text;
  }

  amount(keys: readonly string[], refund: boolean): number | undefined {
    for (const key of keys) {
      const value = this.#properties[key];
      if (value === undefined || value === null || value === '') continue;
      const micros = toMicros(value);
      // Some systems write refunds as negative amounts.
      const amount = refund && micros !== undefined ? Math.abs(micros) : micros;
      if (amount === undefined || amount < 0) {
        this.#violations?.add(`properties.${key}`, value, 'must be a number, or a decimal text, from 0 to 9 billion');
        if (this.#violations === undefined) continue;
        return undefined;
      }
      this.#properties[key] = undefined;
      return amount;
    }
    return undefined;
  }

  part(): number | undefined {
    const value = this.#properties.part;
    if (value === undefined || value === null) return undefined;
    if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > MAX_PART) {
      this.#violations?.add('properties.part', value, `must be a whole number from 0 to ${MAX_PART}`);
      return undefined;
    }
    this.#properties.part = undefined;
    return value;
  }

  currency(): string | undefined {
    const value = this.#properties.currency;
    if (value === undefined || value === null || value === '') return undefined;
    const code = typeof value === 'string' ? value.trim().toUpperCase() : '';
    if (!/^[A-Z]{3}$/.test(code)) {
      this.#violations?.add('properties.currency', value, 'must be an ISO 4217 code of three letters');
      return undefined;
    }
    this.#properties.currency = undefined;
    return CURRENCIES[code] ?? code;
  }

  /** The one product whose fields are among the properties. */
  singleLine(): Line[] {
    const p = this.#properties;
    if (Array.isArray(p.products)) return this.lines();
    if (!(hasText(p.product_id) || hasText(p.productId) || hasText(p.sku) || hasText(p.name))) return [];
    const line = this.#line(p, 'properties');
    return line === undefined ? [] : [line];
  }

  lines(): Line[] {
    const products = this.#properties.products;
    if (products === undefined || products === null) return [];
    if (!Array.isArray(products)) {
      this.#violations?.add('properties.products', products, 'must be a list of products');
      return [];
    }
    if (this.#violations === undefined && !products.every(isPlainLine)) return [];
    const lines: Line[] = [];
    for (let i = 0; i < products.length; i++) {
      const line = this.#line(products[i], `properties.products[${i}]`);
      if (line !== undefined) lines.push(line);
    }
    // What products tell beyond a line (brand, variant …) stays, in the same order.
    if (!products.some(hasRest)) this.#properties.products = undefined;
    return lines;
  }

  sumOf(lines: readonly Line[]): number {
    let sum = 0;
    for (const { priceMicros, quantity } of lines) {
      sum += priceMicros * quantity;
      if (sum > MAX_MICROS) {
        this.#violations?.add('properties.products', undefined, 'must not add up to more than 9 billion');
        return 0;
      }
    }
    return sum;
  }

  #line(product: unknown, field: string): Line | undefined {
    if (typeof product !== 'object' || product === null || Array.isArray(product)) {
      this.#violations?.add(field, product, 'must be an object');
      return undefined;
    }
    const p = product as Json;
    const productId =
      this.#word(p, 'product_id', field) || this.#word(p, 'productId', field) || this.#word(p, 'sku', field);
    return {
      productId,
      name: this.#word(p, 'name', field),
      category: this.#word(p, 'category', field),
      quantity: this.#quantity(p, field),
      priceMicros: this.#price(p, field),
    };
  }

  #word(product: Json, key: string, field: string): string {
    const value = product[key];
    if (value === undefined || value === null) return '';
    if (typeof value === 'string') {
      product[key] = undefined;
      return value;
    }
    if (typeof value === 'number') {
      product[key] = undefined;
      return String(value);
    }
    this.#violations?.add(`${field}.${key}`, value, 'must be text');
    return '';
  }

  #quantity(product: Json, field: string): number {
    const value = product.quantity;
    if (value === undefined || value === null || value === '') return 1;
    const quantity = quantityOf(value);
    if (quantity === undefined) {
      this.#violations?.add(`${field}.quantity`, value, `must be a whole number from 0 to ${MAX_QUANTITY}`);
      return 0;
    }
    product.quantity = undefined;
    return quantity;
  }

  #price(product: Json, field: string): number {
    const value = product.price;
    if (value === undefined || value === null || value === '') return 0;
    const micros = toMicros(value);
    if (micros === undefined || micros < 0) {
      this.#violations?.add(`${field}.price`, value, 'must be a number, or a decimal text, from 0 to 9 billion');
      return 0;
    }
    product.price = undefined;
    return micros;
  }
}

function quantityOf(value: unknown): number | undefined {
  const number = typeof value === 'string' && /^\d{1,10}$/.test(value) ? Number(value) : value;
  return typeof number === 'number' && Number.isInteger(number) && number >= 0 && number <= MAX_QUANTITY
    ? number
    : undefined;
}

function hasText(value: unknown): boolean {
  return (typeof value === 'string' && value !== '') || typeof value === 'number';
}

function hasRest(product: unknown): boolean {
  if (typeof product !== 'object' || product === null) return true;
  for (const key in product) if ((product as Json)[key] !== undefined) return true;
  return false;
}

/** Whether a product of an event with a name of the shop's own can be read as a line without an objection. */
function isPlainLine(product: unknown): boolean {
  if (typeof product !== 'object' || product === null || Array.isArray(product)) return false;
  const { product_id, productId, sku, name, category, quantity, price } = product as Json;
  const words = [product_id, productId, sku, name, category];
  const micros = price === undefined || price === null || price === '' ? 0 : toMicros(price);
  const count = quantity === undefined || quantity === null || quantity === '' ? 1 : quantityOf(quantity);
  const fine = micros !== undefined && micros >= 0 && count !== undefined;
  return (
    fine &&
    words.every((word) => word === undefined || word === null || typeof word === 'string' || typeof word === 'number')
  );
}
