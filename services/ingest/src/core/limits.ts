/** Of one event, as compact JSON in UTF-8. */
export const MAX_EVENT_BYTES = 32 * 1024;
/** Of one request, unpacked. */
export const MAX_REQUEST_BYTES = 500 * 1024;
export const MAX_EVENTS = 1_000;
/** Of the context of a batch, which every event of it gets: a large one would multiply. */
export const MAX_BATCH_CONTEXT_BYTES = 4 * 1024;
/** Objects and lists inside each other, the event itself included. */
export const MAX_DEPTH = 32;
/** UTF-16 units. */
export const MAX_MESSAGE_ID = 100;
export const MAX_NAME = 200;
export const MAX_IDENTIFIER = 256;
export const MAX_EXTERNAL_IDS = 20;
/** What lib/facts keeps: longer names of traits and longer order ids would be lost there. */
export const MAX_TRAIT_NAME = 200;
export const MAX_ORDER_ID = 200;
export const MAX_COUPON = 200;
export const MAX_QUANTITY = 1_000_000_000;
/** Millionths: 9 billion units. */
export const MAX_MICROS = 9e15;
export const MAX_PART = 0xffff_ffff;
