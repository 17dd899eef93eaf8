/**
 * Values that stand for nobody: what programs write when they have nothing. Millions of events with one of them would make
 * one customer out of everybody.
 */
const BLOCKED = new Set([
  ...['null', 'nil', 'none', 'undefined', 'nan', 'n/a', 'na', '(null)', '(none)', '(not set)', 'not set', '<null>'],
  ...['true', 'false', '[object object]', '{}', '[]', '""', "''", '-', '--', '-1', 'invalid', 'error'],
  ...['anonymous', 'anon', 'unknown', 'guest', 'default', 'empty', 'blank'],
  ...['id', 'uid', 'userid', 'user_id', 'user', 'email', 'phone', 'deviceid', 'device_id'],
  ...['无', '未知', '匿名', '游客', '空'],
]);

/** Shorter ones may well be the id of an early customer. */
const MIN_REPEATED = 4;

export function isBlocked(value: string): boolean {
  if (value === '' || value === '0') return true;
  // Zeros with or without separators: the advertising id of a phone that gives none.
  if (value.charCodeAt(0) === 0x30 && /^[0\-:. ]+$/.test(value)) return true;
  if (value.length > 16) return isRepeated(value);
  return isRepeated(value) || BLOCKED.has(value.toLowerCase());
}

function isRepeated(value: string): boolean {
  if (value.length < MIN_REPEATED) return false;
  const first = value.charCodeAt(0);
  for (let i = 1; i < value.length; i++) if (value.charCodeAt(i) !== first) return false;
  return true;
}
