/** What the index needs of a mail. Values are as they stand in the mail, unfolded; encoded words are decoded when looked at. */
export interface MailHeaders {
  messageId: string;
  from: string;
  subject: string;
}

/** Mails with more headers than this are stored whole, but only this much is searched for the ones we want. */
const MOST = 64 * 1024;

/**
 * Reads three headers and nothing else. Every mail goes through here on arrival, and a full MIME parse of each would
 * be most of the work of the mailbox; the rest is parsed when somebody opens the mail.
 */
export function readHeaders(raw: Buffer): MailHeaders {
  const headers: MailHeaders = { messageId: '', from: '', subject: '' };
  const text = raw.toString('utf8', 0, endOfHeaders(raw));
  let name = '';
  let value = '';
  for (const line of text.split('\n')) {
    const content = line.endsWith('\r') ? line.slice(0, -1) : line;
    if (content === '') break;
    if (content.startsWith(' ') || content.startsWith('\t')) {
      if (name !== '') value += ` ${content.trim()}`;
      continue;
    }
    take(headers, name, value);
    const colon = content.indexOf(':');
    name = colon > 0 && colon < 20 ? content.slice(0, colon).trimEnd().toLowerCase() : '';
    value = name === '' ? '' : content.slice(colon + 1).trim();
  }
  take(headers, name, value);
  return headers;
}

function endOfHeaders(raw: Buffer): number {
  const crlf = raw.indexOf('\r\n\r\n');
  const end = crlf >= 0 ? crlf : raw.indexOf('\n\n');
  return Math.min(end >= 0 ? end : raw.length, MOST);
}

/** The first of each counts, as mail programs have it. */
function take(headers: MailHeaders, name: string, value: string): void {
  if (name === 'message-id' && headers.messageId === '') headers.messageId = bareId(value);
  else if (name === 'subject' && headers.subject === '') headers.subject = value;
  else if (name === 'from' && headers.from === '') headers.from = value;
}

/** A Message-ID without its angle brackets: people and APIs write it both ways. */
export function bareId(id: string): string {
  const trimmed = id.trim();
  return trimmed.startsWith('<') && trimmed.endsWith('>') ? trimmed.slice(1, -1).trim() : trimmed;
}
