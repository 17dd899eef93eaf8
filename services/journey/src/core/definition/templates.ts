import type { JourneyDefinition } from '#gen/recur/journey/v1/journey.ts';
import type { Violations } from './violations.ts';

/** A template a node names, and the channel it is to be used by. */
export interface TemplateUse {
  /** Position below the definition, e.g. "nodes[3].message.template_id". */
  readonly field: string;
  readonly templateId: string;
  readonly channel: string;
}

export function templateUses({ nodes }: JourneyDefinition): TemplateUse[] {
  return nodes.flatMap(({ kind }, i) => {
    const at = `nodes[${i}]`;
    if (kind?.$case === 'webhook')
      return [{ field: `${at}.webhook.template_id`, templateId: kind.value.templateId, channel: 'webhook' }];
    if (kind?.$case !== 'message') return [];
    const { channel, templateId, fallbacks } = kind.value;
    const others = fallbacks.map((fallback, k) => ({
      field: `${at}.message.fallbacks[${k}].template_id`,
      templateId: fallback.templateId,
      channel: fallback.channel,
    }));
    return [{ field: `${at}.message.template_id`, templateId, channel }, ...others];
  });
}

/** Every template is there, for its channel. @param channels channel of each template there is, by id */
export function checkTemplates(
  definition: JourneyDefinition,
  channels: ReadonlyMap<string, string>,
  at: string,
  violations: Violations,
): void {
  for (const { field, templateId, channel } of templateUses(definition)) {
    const known = channels.get(templateId);
    if (known === undefined) violations.add(`${at}.${field}`, `there is no template "${templateId}": create it first`);
    else if (known !== channel)
      violations.add(`${at}.${field}`, `"${templateId}" is a template for ${known}, not ${channel}`);
  }
}
