import PostalMime, { type Address, addressParser, decodeWords } from 'postal-mime';
import type { MailStore, StoredMail } from './store.ts';

/** The shapes and names of Mailpit's API, so that what speaks to one speaks to the other. */
export interface Person {
  Name: string;
  Address: string;
}

export interface Summary {
  ID: string;
  MessageID: string;
  From: Person;
  /** Who it went to, by the envelope: blind copies are among them. */
  To: Person[];
  Subject: string;
  Created: string;
  Size: number;
}

export interface Letter extends Summary {
  Cc: Person[];
  ReplyTo: Person[];
  Date: string;
  Text: string;
  HTML: string;
  Attachments: Array<{ FileName: string; ContentType: string; Size: number }>;
  Headers: Array<{ Name: string; Value: string }>;
  /** Set when the mail is so broken that only its raw text can be shown. */
  Error?: string;
}

export function summaryOf(mail: StoredMail): Summary {
  return {
    ID: mail.id,
    MessageID: mail.messageId,
    From: people(addressParser(mail.from, { flatten: true }))[0] ?? { Name: '', Address: mail.sender },
    To: mail.to.map((address) => ({ Name: '', Address: address })),
    Subject: decodeWords(mail.subject),
    Created: mail.at,
    Size: mail.size,
  };
}

/** The whole mail, parsed now that somebody looks at it. */
export async function letterOf(mail: StoredMail, store: MailStore): Promise<Letter> {
  const raw = store.raw(mail);
  const summary = summaryOf(mail);
  try {
    const email = await PostalMime.parse(raw, { maxNestingDepth: 32 });
    return {
      ...summary,
      Cc: people(email.cc ?? []),
      ReplyTo: people(email.replyTo ?? []),
      Date: email.date ?? mail.at,
      Text: email.text ?? '',
      HTML: email.html ?? '',
      Attachments: email.attachments.map(({ filename, mimeType, content }) => ({
        FileName: filename ?? '',
        ContentType: mimeType,
        Size: typeof content === 'string' ? content.length : content.byteLength,
      })),
      Headers: email.headers.map(({ originalKey, value }) => ({ Name: originalKey, Value: value })),
    };
  } catch (error) {
    const nothing = { Cc: [], ReplyTo: [], Date: mail.at, HTML: '', Attachments: [], Headers: [] };
    return { ...summary, ...nothing, Text: raw.toString('utf8'), Error: (error as Error).message };
  }
}

function people(addresses: Address[]): Person[] {
  return addresses
    .flatMap((each) => each.group ?? [each])
    .map(({ name, address }) => ({ Name: name, Address: address ?? '' }));
}
