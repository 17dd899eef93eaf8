/** How a standard event carries products and money. */
export type CommerceShape =
  /** One product, its fields among the properties. */
  | 'product'
  /** An order or a part of one. */
  | 'order'
  | 'refund'
  /** A list of products, perhaps with a value. */
  | 'products';

/** Names of the e-commerce specification, and what they carry. */
export const STANDARD_EVENTS: Readonly<Record<string, CommerceShape>> = {
  'Products Searched': 'products',
  'Product List Viewed': 'products',
  'Product List Filtered': 'products',
  'Product Clicked': 'product',
  'Product Viewed': 'product',
  'Product Added': 'product',
  'Product Removed': 'product',
  'Cart Viewed': 'products',
  'Checkout Started': 'products',
  'Checkout Step Viewed': 'products',
  'Checkout Step Completed': 'products',
  'Payment Info Entered': 'products',
  'Order Completed': 'order',
  'Order Updated': 'order',
  'Order Refunded': 'refund',
  'Order Cancelled': 'order',
  'Coupon Entered': 'products',
  'Coupon Applied': 'products',
  'Coupon Denied': 'products',
  'Coupon Removed': 'products',
  'Product Added to Wishlist': 'product',
  'Product Removed from Wishlist': 'product',
  'Wishlist Product Added to Cart': 'product',
  'Product Shared': 'product',
  'Product Reviewed': 'product',
  'Cart Shared': 'products',
};

/** Other names the same things go by: older specifications, GA4, Meta. Spelling (case, "_", "-", spaces) does not matter. */
const ALIASES: Readonly<Record<string, readonly string[]>> = {
  'Order Completed': ['Completed Order', 'Order Placed', 'Placed Order', 'Purchase', 'Purchased', 'Order Paid'],
  'Order Refunded': ['Refunded Order', 'Refund', 'Order Refund'],
  'Order Cancelled': ['Order Canceled', 'Cancelled Order', 'Canceled Order'],
  'Order Updated': ['Updated Order'],
  'Product Viewed': ['Viewed Product', 'View Item', 'View Content', 'Product View'],
  'Product Clicked': ['Clicked Product', 'Select Item'],
  'Product Added': ['Added Product', 'Add to Cart', 'Added to Cart', 'Product Added to Cart'],
  'Product Removed': ['Removed Product', 'Remove from Cart', 'Removed from Cart', 'Product Removed from Cart'],
  'Product List Viewed': [
    'Viewed Product List',
    'Viewed Product Category',
    'Product Category Viewed',
    'View Item List',
  ],
  'Products Searched': ['Searched Products', 'Product Searched', 'View Search Results'],
  'Cart Viewed': ['Viewed Cart', 'View Cart'],
  'Checkout Started': ['Started Checkout', 'Begin Checkout', 'Initiate Checkout', 'Initiated Checkout'],
  'Checkout Step Viewed': ['Viewed Checkout Step'],
  'Checkout Step Completed': ['Completed Checkout Step'],
  'Payment Info Entered': ['Entered Payment Info', 'Add Payment Info'],
  'Coupon Applied': ['Applied Coupon'],
  'Coupon Entered': ['Entered Coupon'],
  'Coupon Denied': ['Denied Coupon'],
  'Coupon Removed': ['Removed Coupon'],
  'Product Added to Wishlist': ['Added Product to Wishlist', 'Add to Wishlist', 'Added to Wishlist'],
  'Product Removed from Wishlist': ['Removed Product from Wishlist', 'Remove from Wishlist'],
  'Product Shared': ['Shared Product'],
  'Product Reviewed': ['Reviewed Product'],
};

/** Standard events that are not about products. */
const OTHERS: Readonly<Record<string, readonly string[]>> = {
  // Whoever assigns customers to arms of an experiment tells so by it; analytics counts it as an exposure.
  'Experiment Viewed': ['Viewed Experiment', 'Experiment Impression', 'Experiment Exposure'],
};

const shapes = new Map(Object.entries(STANDARD_EVENTS));
const canonical = new Map<string, string>();
for (const name of Object.keys(STANDARD_EVENTS)) canonical.set(spelling(name), name);
for (const name of Object.keys(OTHERS)) canonical.set(spelling(name), name);
for (const [name, aliases] of [...Object.entries(ALIASES), ...Object.entries(OTHERS)])
  for (const alias of aliases) canonical.set(spelling(alias), name);

function spelling(name: string): string {
  return name.toLowerCase().replaceAll(/[_\- ]/g, '');
}

const MAX_KNOWN = 5_000;
const known = new Map<string, string>();

/** The standard name of an event, or the name as it came. */
export function standardName(name: string): string {
  const found = known.get(name);
  if (found !== undefined) return found;
  const standard = canonical.get(spelling(name)) ?? name;
  // Names come from senders: start over rather than grow without end.
  if (known.size >= MAX_KNOWN) known.clear();
  known.set(name, standard);
  return standard;
}

/** How an event of this name carries products and money; undefined when the name is none of the standard ones. */
export function commerceShape(name: string): CommerceShape | undefined {
  return shapes.get(name);
}
