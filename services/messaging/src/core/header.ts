// Mail headers and SMTP commands end at a line break: what goes into one must have none, or it could add others.

/** Local part of RFC 5321 without quoting; a domain of letters, digits, hyphens (or beyond ASCII, for IDN). */
const ADDRESS =
  /^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~\u0080-\uffff-]{1,64}@([A-Za-z0-9\u0080-\uffff]([A-Za-z0-9\u0080-\uffff-]{0,61}[A-Za-z0-9\u0080-\uffff])?\.)*[A-Za-z0-9\u0080-\uffff]([A-Za-z0-9\u0080-\uffff-]{0,61}[A-Za-z0-9\u0080-\uffff])?$/;

/** One bare address: no display name, no list, no quoting, no control characters. */
export function isEmailAddress(text: string): boolean {
  return text.length <= 254 && ADDRESS.test(text) && !hasControl(text) && !text.includes('..') && !text.startsWith('.');
}

/** Control characters and the line and paragraph separators some mailers break lines at. */
export function hasControl(text: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is the point
  return /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/.test(text);
}

/** Why a text cannot be a header line; undefined when it can. */
export function headerProblem(text: string, maxLength: number): string | undefined {
  if (text.length > maxLength) return `must have at most ${maxLength} characters, has ${text.length}`;
  if (hasControl(text)) return 'must be one line without control characters';
  return undefined;
}

/** `Name <address>` or an address. @throws when it is neither */
export function parseSender(from: string): { name: string; address: string } {
  const match = /^\s*(?:"?([^"<>]{0,100})"?\s*<([^<>\s]+)>|([^<>\s]+))\s*$/.exec(from);
  const address = match?.[2] ?? match?.[3] ?? '';
  const name = match?.[1]?.trim() ?? '';
  if (!isEmailAddress(address) || hasControl(name)) throw new Error('MAIL_FROM must be an address or "Name <address>"');
  return { name, address };
}
