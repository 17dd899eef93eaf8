interface Mail {
  readonly MessageID: string;
  readonly To: { readonly Address: string }[];
  readonly Subject: string;
}

const PAGE = 1_000;

/** Every mail that arrived, as `recipient message-id subject`, sorted. A mail that came twice is there twice. */
export async function mailsIn(mailboxUrl: string): Promise<string[]> {
  const { count } = (await (await fetch(`${mailboxUrl}/api/v1/count`)).json()) as { count: number };
  const mails: string[] = [];
  for (let start = 0; start < count; start += PAGE) {
    const page = await fetch(`${mailboxUrl}/api/v1/messages?start=${start}&limit=${PAGE}`);
    const { messages } = (await page.json()) as { messages: Mail[] };
    for (const { To, MessageID, Subject } of messages) {
      mails.push(`${To.map((to) => to.Address).join(',')} ${MessageID} ${Subject}`);
    }
  }
  return mails.sort();
}
