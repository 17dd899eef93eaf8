/** One transparent point. */
export const PIXEL: Buffer = Buffer.from('R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7', 'base64');

const page = (title: string, body: string) =>
  `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${title}</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:28em;margin:15vh auto;padding:0 1em;text-align:center}button{font:inherit;padding:.5em 1.5em}</style></head>
<body>${body}</body></html>`;

/** A form without action: it is sent to the address of the page, which holds the token. */
export const UNSUBSCRIBE_PAGE: string = page(
  'Unsubscribe · 退订',
  '<p>No more such messages?<br>不再接收此类消息？</p><form method="post"><button>Unsubscribe · 退订</button></form>',
);
export const UNSUBSCRIBED_PAGE: string = page(
  'Done · 已退订',
  '<p>Done: you will get no more such messages.<br>已退订，您将不再收到此类消息。</p>',
);
export const GONE_PAGE: string = page(
  'Not found · 链接无效',
  '<p>This link is not valid (any more).<br>链接无效或已失效。</p>',
);
