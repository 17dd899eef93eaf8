/** Asks a mailbox server that speaks Mailpit's API whether a message arrived. */
export class SentLookup {
  private readonly base: string;

  constructor(url: string) {
    this.base = url.replace(/\/+$/, '');
  }

  /** @throws when the server does not give a clear answer */
  async has(messageId: string): Promise<boolean> {
    const query = encodeURIComponent(`message-id:${messageId}`);
    const response = await fetch(`${this.base}/api/v1/search?query=${query}`, { signal: AbortSignal.timeout(5000) });
    if (!response.ok) {
      await response.body?.cancel();
      throw new Error(`the lookup answered ${response.status}`);
    }
    const { messages } = (await response.json()) as { messages?: { MessageID?: string }[] };
    if (!Array.isArray(messages)) throw new Error('the lookup answered without "messages"');
    // Some servers search loosely: another message is not this one.
    return messages.some((found) => found.MessageID === undefined || found.MessageID === messageId);
  }
}
