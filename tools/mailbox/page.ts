import type { Letter, Person, Summary } from './letter.ts';

export function listPage(mails: Summary[], total: number, start: number, limit: number): string {
  const rows = mails.map(
    (mail) => `<tr>
<td><time>${escaped(mail.Created.replace('T', ' ').slice(0, 19))}</time></td>
<td>${escaped(mail.To.map(({ Address }) => Address).join(', '))}</td>
<td><a href="/mail?id=${encodeURIComponent(mail.ID)}">${escaped(mail.Subject || '(no subject)')}</a></td>
<td class="size">${mail.Size.toLocaleString('en')}</td></tr>`,
  );
  const link = (from: number, text: string) => `<a href="/?start=${from}&amp;limit=${limit}">${text}</a>`;
  const newer = start > 0 ? link(Math.max(0, start - limit), '← newer') : '';
  const older = start + limit < total ? link(start + limit, 'older →') : '';
  return document(
    'Mailbox',
    `<h1>Mailbox</h1>
<p>${total.toLocaleString('en')} mail${total === 1 ? '' : 's'}. They stay here: nothing is delivered to anybody.</p>
${
  total === 0
    ? '<p>When a journey sends its first e-mail, it shows up here.</p>'
    : `<table><thead><tr><th>Received (UTC)</th><th>To</th><th>Subject</th><th class="size">Bytes</th></tr></thead>
<tbody>${rows.join('\n')}</tbody></table>
<nav>${newer} ${older}</nav>`
}`,
  );
}

export function mailPage(mail: Letter): string {
  const facts: Array<[string, string]> = [
    ['From', one(mail.From)],
    ['To', mail.To.map(one).join(', ')],
    ['Cc', mail.Cc.map(one).join(', ')],
    ['Date', mail.Date],
    ['Message-ID', mail.MessageID],
    [
      'Attachments',
      mail.Attachments.map(({ FileName, Size }) => `${FileName || 'unnamed'} (${Size} bytes)`).join(', '),
    ],
    ['Could not be parsed', mail.Error ?? ''],
  ];
  const list = facts
    .filter(([, value]) => value !== '')
    .map(([name, value]) => `<dt>${name}</dt><dd>${escaped(value)}</dd>`);
  const headers = mail.Headers.map(({ Name, Value }) => `${Name}: ${Value}`).join('\n');
  return document(
    mail.Subject || '(no subject)',
    `<p><a href="/">← all mails</a></p>
<h1>${escaped(mail.Subject || '(no subject)')}</h1>
<dl>${list.join('\n')}</dl>
${mail.HTML === '' ? '' : `<iframe sandbox="" title="The mail" srcdoc="${escaped(mail.HTML)}"></iframe>`}
${mail.Text === '' ? '' : `<details${mail.HTML === '' ? ' open' : ''}><summary>Plain text</summary><pre>${escaped(mail.Text)}</pre></details>`}
<details><summary>Headers</summary><pre>${escaped(headers)}</pre></details>
<p><a href="/api/v1/message/${encodeURIComponent(mail.ID)}/raw">As it was received</a></p>`,
  );
}

function one({ Name, Address }: Person): string {
  return Name === '' ? Address : `${Name} <${Address}>`;
}

/** Everything in a mail was written by somebody else. */
export function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}

function document(title: string, body: string): string {
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${escaped(title)}</title>
<style>
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { max-width: 70rem; margin: 2rem auto; padding: 0 1rem }
table { width: 100%; border-collapse: collapse } th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #8884; overflow-wrap: anywhere }
.size { text-align: right } time { white-space: nowrap } nav { margin-top: 1rem }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem } dt { opacity: .7 } dd { margin: 0; overflow-wrap: anywhere }
iframe { width: 100%; height: 60vh; border: 1px solid #8884; background: #fff } pre { white-space: pre-wrap; overflow-wrap: anywhere }
</style>
${body}
</html>
`;
}
