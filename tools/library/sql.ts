/** Asks a ClickHouse HTTP endpoint; numbers come as numbers. */
export async function sql<Row extends Record<string, unknown>>(url: string, query: string): Promise<Row[]> {
  const target = new URL(url);
  target.searchParams.set('default_format', 'JSON');
  target.searchParams.set('database', 'recur');
  target.searchParams.set('output_format_json_quote_64bit_integers', '0');
  const answer = await fetch(target, { method: 'POST', body: query });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${text.trim()}\nin: ${query}`);
  return (JSON.parse(text) as { data: Row[] }).data;
}
