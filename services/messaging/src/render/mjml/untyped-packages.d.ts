/** The part of mjml-core that is used here; it brings no types. */
declare module 'mjml-core' {
  interface Options {
    readonly presets: readonly unknown[];
    readonly validationLevel: 'soft';
    readonly ignoreIncludes: true;
    /** Addresses of style sheets by the name of the font they are linked for. */
    readonly fonts: Readonly<Record<string, string>>;
  }
  interface Result {
    readonly html: string;
    readonly errors: readonly { readonly line: number; readonly tagName: string; readonly message: string }[];
  }
  type Compile = (source: string, options: Options) => Promise<Result>;
  /** CommonJS: its default export is one step further in. */
  const exported: { readonly default: Compile };
  export default exported;
}

/** Every element MJML has. */
declare module 'mjml-preset-core' {
  const preset: unknown;
  export default preset;
}
