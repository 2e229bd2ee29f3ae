/** What is wrong with a source right now, by subject: it is degraded as long as there is anything, and healthy again after the last. */
export class Troubles {
  readonly #report: { degraded(error: Error): void; healthy(): void };
  readonly #open = new Map<string, Error>();

  constructor(report: { degraded(error: Error): void; healthy(): void }) {
    this.#report = report;
  }

  /** True when the subject was fine until now. */
  raise(subject: string, error: Error): boolean {
    const fresh = !this.#open.has(subject);
    this.#open.set(subject, error);
    if (fresh) this.#report.degraded(error);
    return fresh;
  }

  clear(subject: string): void {
    if (!this.#open.delete(subject)) return;
    const [other] = this.#open.values();
    if (other) this.#report.degraded(other);
    else this.#report.healthy();
  }

  /** Clears every subject that begins with `prefix` and of which `stays` is false. */
  review(prefix: string, stays: (rest: string) => boolean): void {
    for (const subject of [...this.#open.keys()]) {
      if (subject.startsWith(prefix) && !stays(subject.slice(prefix.length))) this.clear(subject);
    }
  }
}
