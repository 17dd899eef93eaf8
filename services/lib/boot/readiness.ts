type Check = () => boolean;

/** Whether traffic may come: everything named here is well, and the process is not ending. */
export class Readiness {
  readonly #checks = new Map<string, Check>();
  #draining = false;

  /** @param check quick and without I/O: it is asked every second */
  add(name: string, check: Check): void {
    if (this.#checks.has(name)) throw new Error(`There is a readiness check "${name}" already.`);
    this.#checks.set(name, check);
  }

  /** For good. */
  drain(): void {
    this.#draining = true;
  }

  get draining(): boolean {
    return this.#draining;
  }

  /** Names of what is not well. */
  failing(): string[] {
    const failing = [...this.#checks].filter(([, check]) => !isWell(check)).map(([name]) => name);
    return this.#draining ? ['draining', ...failing] : failing;
  }
}

function isWell(check: Check): boolean {
  try {
    return check();
  } catch {
    return false;
  }
}
