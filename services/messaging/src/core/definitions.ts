import { MessagingSettings, Template } from '#gen/recur/messaging/v1/template.ts';
import { DEFAULT_POLICY, type Policy, policyOf, SETTINGS_ID, withDefaults } from './settings.ts';
import { traitsNamed } from './template-source.ts';

export const TEMPLATE_KIND = 'template';
export const SETTINGS_KIND = 'messaging_settings';

/** A definition in force, as the kit hands it over. */
export interface RawDefinition {
  readonly kind: string;
  readonly id: string;
  readonly revision: number;
  readonly body: Uint8Array;
}

export interface TemplateInForce {
  readonly template: Template;
  readonly revision: number;
  /** Traits it reads. */
  readonly traits: ReadonlySet<string>;
}

/** All that decisions read of templates and settings. */
export interface Definitions {
  readonly policy: Policy;
  readonly settings: MessagingSettings;
  readonly templates: ReadonlyMap<string, TemplateInForce>;
  /** Traits any template in force reads. */
  readonly traits: ReadonlySet<string>;
}

export const NO_DEFINITIONS: Definitions = {
  policy: DEFAULT_POLICY,
  settings: withDefaults({}),
  templates: new Map(),
  traits: new Set(),
};

/** Compiles one template's revision; undefined when its bytes are not a template. */
export function compileTemplate(definition: RawDefinition): TemplateInForce | undefined {
  try {
    const template = Template.decode(definition.body);
    return {
      template: { ...template, revision: definition.revision },
      revision: definition.revision,
      traits: traitsNamed(template),
    };
  } catch {
    return undefined;
  }
}

export function compileSettings(
  definition: RawDefinition,
): { settings: MessagingSettings; policy: Policy } | undefined {
  try {
    const settings = { ...withDefaults(MessagingSettings.decode(definition.body)), revision: definition.revision };
    return { settings, policy: policyOf(settings) };
  } catch {
    return undefined;
  }
}

/**
 * Compiles what is in force. `template` may remember its answers: the same revision always compiles to the same.
 * Whatever cannot be read counts as not there.
 */
export function compile(active: readonly RawDefinition[], template = compileTemplate): Definitions {
  let { settings, policy } = NO_DEFINITIONS;
  const templates = new Map<string, TemplateInForce>();
  const traits = new Set<string>();
  for (const definition of active) {
    if (definition.kind === TEMPLATE_KIND) {
      const compiled = template(definition);
      if (!compiled) continue;
      templates.set(definition.id, compiled);
      for (const name of compiled.traits) traits.add(name);
    } else if (definition.kind === SETTINGS_KIND && definition.id === SETTINGS_ID) {
      ({ settings, policy } = compileSettings(definition) ?? { settings, policy });
    }
  }
  return { policy, settings, templates, traits };
}
