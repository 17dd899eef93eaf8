/**
 * Texts that every shop has in every profile, stored as their place in this list: names of the commonest traits and events, identifier types,
 * channels, currencies, countries and languages. States are written with these places: words are added at the end, never moved or
 * taken out. At most {@link MAX_WORDS}; the first {@link SHORT_WORDS} take one byte, the others two.
 */
export const SHORT_WORDS = 125;
export const MAX_WORDS = SHORT_WORDS + 256;

export const WORDS: readonly string[] = [
  ...['name', 'firstName', 'lastName', 'gender', 'birthday', 'age', 'email', 'phone', 'avatar', 'title', 'company'],
  ...['city', 'province', 'state', 'country', 'district', 'address', 'street', 'postalCode', 'locale', 'language'],
  ...['timezone', 'createdAt', 'description', 'website', 'username', 'plan', 'marketing_consent'],
  ...['page', 'screen', 'Product Viewed', 'Product Added', 'Product Removed', 'Product Clicked', 'Products Searched'],
  ...['Product List Viewed', 'Cart Viewed', 'Checkout Started', 'Checkout Step Viewed', 'Checkout Step Completed'],
  ...['Payment Info Entered', 'Order Completed', 'Order Updated', 'Order Refunded', 'Order Cancelled'],
  ...['Coupon Entered', 'Coupon Applied', 'Product Shared', 'Product Reviewed', 'Product Added to Wishlist'],
  ...['Signed Up', 'Signed In', 'Application Opened', 'Email Opened', 'Email Link Clicked', 'Promotion Viewed'],
  ...['Promotion Clicked', 'Unsubscribed', 'device', 'anonymous_id', 'user_id', 'wechat_openid', 'wechat_unionid'],
  ...['member_no', 'web', 'app', 'ios', 'android', 'pos', 'wechat', 'tmall', 'taobao', 'jd', 'douyin', 'h5'],
  ...['mini_program', 'shop', 'import', 'api', 'server', 'sms', 'push', 'crm', 'female', 'male', 'unknown', 'other'],
  ...[
    'CNY',
    'USD',
    'EUR',
    'JPY',
    'HKD',
    'TWD',
    'SGD',
    'GBP',
    'KRW',
    'CN',
    'US',
    'HK',
    'TW',
    'SG',
    'JP',
    'GB',
    'DE',
    'FR',
  ],
  ...['zh-CN', 'zh-TW', 'zh-HK', 'zh', 'en', 'en-US', 'en-GB', 'ja', 'Asia/Shanghai', 'Asia/Hong_Kong', 'Asia/Taipei'],
  ...['Asia/Singapore', 'Asia/Tokyo', 'Europe/London', 'Europe/Berlin', 'America/New_York', 'UTC'],
];

/**
 * Pieces of words for all other texts of ASCII: a byte from 0x80 on is one of these 128. As above: never changed, or what is stored
 * reads as something else.
 */
export const PIECES: readonly string[] = [
  ...['th', 'he', 'in', 'er', 'an', 're', 'on', 'at', 'en', 'nd', 'ti', 'es', 'or', 'te', 'ed', 'is', 'it', 'al', 'ar'],
  ...['st', 'to', 'nt', 'ng', 'se', 'ha', 'as', 'ou', 'io', 'le', 've', 'co', 'me', 'de', 'hi', 'ri', 'ro', 'ic', 'ne'],
  ...['ea', 'ra', 'ce', 'li', 'ch', 'll', 'be', 'ma', 'si', 'om', 'ur', 'ca', 'el', 'ta', 'la', 'ns', 'di', 'pe', 'ec'],
  ...['un', 'ac', 'il', 'us', 'pr', 'ge', 'nc', 'ol', 'tr', 'sh', 'ee', 'ss', 'em', 'op', 'ot', 'ad', 'im', 'am', 'um'],
  ...['ing', 'ion', 'ent', 'ter', 'ate', 'ver', 'com', 'per', 'ess', 'pro', 'con', 'and', 'for', 'ight', 'tion'],
  ...['_id', '_at', '_', '00', '20', '19', '01', '10', 'last_', 'first_', 'name', 'type', 'level', 'date', 'count'],
  ...['total', 'order', 'product', 'categor', 'member', 'favo', 'user', 'number', 'score', 'price', 'status'],
  ...['http', '.com', '://', 'news', 'size', 'list'],
];
