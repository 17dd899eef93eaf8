import type { Reference, Tokens } from './tokens.ts';

const MAX_LINKS = 200;
// Not past another `<`: from every one of many it would be looked for to the end of the page.
const LINK = /(<a\b[^<>]*?\bhref\s*=\s*)(?:"(https?:\/\/[^"]{1,2000})"|'(https?:\/\/[^']{1,2000})')/gi;
const BODY_END = /<\/body\s*>/i;

/** Addresses of one message that lead back here. */
export class Links {
  private readonly base: string;
  private readonly tokens: Tokens;

  /** @param publicUrl what stands before `/m/…` for the world */
  constructor(publicUrl: string, tokens: Tokens) {
    this.base = publicUrl.replace(/\/+$/, '');
    this.tokens = tokens;
  }

  unsubscribe(reference: Reference): string {
    return `${this.base}/m/u/${this.tokens.make('unsubscribe', reference)}`;
  }

  /** Leads there by way of here. */
  click(reference: Reference, target: string): string {
    return `${this.base}/m/c/${this.tokens.make('click', reference, new URL(target).href)}`;
  }

  /** The page with its links leading here first, and a picture that tells of being looked at. */
  track(html: string, reference: Reference): string {
    let left = MAX_LINKS;
    const own = `${this.base}/m/`;
    const linked = html.replaceAll(LINK, (all, before: string, double?: string, single?: string) => {
      const target = unescapeHtml(double ?? single ?? '');
      if (target.startsWith(own) || !URL.canParse(target) || left-- <= 0) return all;
      return `${before}"${this.click(reference, target)}"`;
    });
    const source = `${this.base}/m/o/${this.tokens.make('open', reference)}`;
    const pixel = `<img src="${source}" width="1" height="1" alt="" style="display:none">`;
    const end = BODY_END.exec(linked)?.index ?? linked.length;
    return `${linked.slice(0, end)}${pixel}${linked.slice(end)}`;
  }
}

function unescapeHtml(text: string): string {
  return text.replaceAll(/&(?:amp|#38|#x26);/gi, '&');
}
