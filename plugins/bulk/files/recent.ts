/** The latest of something by key; the one used longest ago goes when there are too many. */
export class Recent<T> {
  readonly #most: number;
  readonly #items = new Map<string, T>();

  constructor(most: number) {
    this.#most = most;
  }

  get(key: string): T | undefined {
    const item = this.#items.get(key);
    if (item !== undefined) this.set(key, item);
    return item;
  }

  set(key: string, item: T): void {
    this.#items.delete(key);
    this.#items.set(key, item);
    if (this.#items.size > this.#most) this.#items.delete(this.#items.keys().next().value!);
  }

  delete(key: string): void {
    this.#items.delete(key);
  }
}
