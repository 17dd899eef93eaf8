import type { MissingVariable, ReportMissingVariablesResponse } from '#gen/recur/messaging/v1/messaging_service.ts';
import type { CustomerState } from '#gen/recur/messaging/v1/state.ts';
import type { Template } from '#gen/recur/messaging/v1/template.ts';
import type { StateReader } from '#lib/stream/state-reader.ts';
import type { Writer } from '../channels/writer.ts';
import { contentFor } from '../core/locale.ts';
import { lacks, variablesOf } from '../core/template-variables.ts';
import { render, TemplateError } from '../render/render.ts';
import { scopeFor } from './scope.ts';

export const MAX_CUSTOMERS = 200;
const MAX_EXAMPLES = 10;

export interface MissingVariablesParts {
  readonly states: Pick<StateReader<CustomerState>, 'getMany'>;
  readonly writer: Pick<Writer, 'customerOf' | 'settings'>;
}

interface Asked {
  readonly template: Template;
  readonly customerIds: readonly string[];
  /** Undefined: each customer's own. */
  readonly locale: string | undefined;
  readonly journey: Readonly<Record<string, unknown>>;
}

/**
 * What customers lack that a template reads: the template is written for each of them, as it would be for a message. Between
 * two customers others have their turn.
 */
export async function reportMissing(
  { states, writer }: MissingVariablesParts,
  { template, customerIds, locale: asked, journey }: Asked,
): Promise<ReportMissingVariablesResponse> {
  const found = await states.getMany(customerIds);
  const byName = new Map<string, MissingVariable>();
  const report: ReportMissingVariablesResponse = { customers: 0, unknown: 0, failed: 0, variables: [] };
  for (const entry of found) {
    await new Promise((resolve) => setImmediate(resolve));
    if (!entry) {
      report.unknown++;
      continue;
    }
    report.customers++;
    const locale = asked ?? (entry.state.locale?.value || writer.settings.defaultLocale);
    const { content } = contentFor(template, locale);
    if (!content) continue;
    const customer = writer.customerOf(entry.state, template.channel);
    const scope = scopeFor(template, { locale, customer, journey, shopName: writer.settings.shopName });
    const printedEmpty = new Set(tryRender(() => render(content, scope).missing, report));
    for (const variable of variablesOf(content).values()) {
      const { name, parts } = variable;
      const row = byName.get(name) ?? { name, parts: [], lacking: 0, printedEmpty: 0, examples: [] };
      byName.set(name, row);
      row.parts = [...new Set([...row.parts, ...parts])];
      if (printedEmpty.has(name)) row.printedEmpty++;
      if (!lacks({ customer, journey }, variable)) continue;
      row.lacking++;
      if (row.examples.length < MAX_EXAMPLES) row.examples.push(entry.customerId);
    }
  }
  report.variables = [...byName.values()].sort((a, b) => b.lacking - a.lacking || (a.name < b.name ? -1 : 1));
  return report;
}

/** A customer the template cannot be written for is counted: they would get nothing. */
function tryRender(missing: () => readonly string[], report: { failed: number }): readonly string[] {
  try {
    return missing();
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    report.failed++;
    return [];
  }
}
