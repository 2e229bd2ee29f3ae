/**
 * Producer ids from blocks of 1000 that were reserved durably before the first of them is used: an id is never given out
 * twice, also after a crash, at the price of the rest of a block.
 */
export const PRODUCER_ID_BLOCK = 1000;

export class ProducerIds {
  readonly #reserve: (count: number) => Promise<number>;
  #next = 0;
  #end = 0;
  #refill: Promise<void> | undefined;

  /** @param reserve makes `count` ids ours for ever and resolves to the first of them */
  constructor(reserve: (count: number) => Promise<number>) {
    this.#reserve = reserve;
  }

  async take(): Promise<number> {
    while (this.#next >= this.#end) {
      this.#refill ??= this.#fetch();
      await this.#refill;
    }
    return this.#next++;
  }

  async #fetch(): Promise<void> {
    try {
      const first = await this.#reserve(PRODUCER_ID_BLOCK);
      this.#next = first;
      this.#end = first + PRODUCER_ID_BLOCK;
    } finally {
      this.#refill = undefined;
    }
  }
}
