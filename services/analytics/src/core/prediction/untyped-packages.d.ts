/** The part of nlopt-js that is used here; the package brings no types. */
declare module 'nlopt-js' {
  interface Search {
    /** @param tolerance absolute, of the value, at which the search ends */
    setMinObjective(f: (x: ArrayLike<number>) => number, tolerance: number): void;
    setLowerBounds(low: readonly number[]): void;
    setUpperBounds(high: readonly number[]): void;
    setMaxeval(evaluations: number): void;
    /** @throws what is no Error for a C++ exception */
    optimize(start: readonly number[]): { readonly x: ArrayLike<number>; readonly value: number };
  }
  const nlopt: {
    /** The WebAssembly module is loaded. */
    readonly ready: Promise<unknown>;
    readonly Optimize: new (algorithm: unknown, dimensions: number) => Search;
    readonly Algorithm: { readonly LN_NELDERMEAD: unknown };
    /** Frees what searches so far have allocated in WebAssembly's memory. */
    readonly GC: { flush(): void };
  };
  export default nlopt;
}

/** The part of cephes that is used here; its own types are not found through its package.json. */
declare module 'cephes' {
  /** The WebAssembly module is loaded: the functions below may be called. */
  export const compiled: Promise<void>;
  /** Natural logarithm of the gamma function. */
  export function lgam(x: number): number;
  /** Gauss's hypergeometric function 2F1(a, b; c; x). */
  export function hyp2f1(a: number, b: number, c: number, x: number): number;
}
