/** The names of one directory as they were read: content names as 20 bytes each in one sorted buffer, so that a million of them are 20 MB and no garbage. */
const KEY_BYTES = 20;
const CONTENT_NAME = /^[0-9a-f]{40}$/;

export class NameList {
  readonly #sorted: Buffer;
  readonly #others: ReadonlySet<string>;

  /** @param names byte strings */
  constructor(names: readonly string[]) {
    const isContent = (name: string): boolean => CONTENT_NAME.test(name);
    this.#sorted = Buffer.from(names.filter(isContent).sort().join(''), 'hex');
    this.#others = new Set(names.filter((name) => !isContent(name)));
  }

  /** What has not the form of a content name: directories are among them. */
  get others(): Iterable<string> {
    return this.#others;
  }

  has(name: string): boolean {
    return CONTENT_NAME.test(name) ? this.#hasKey(Buffer.from(name, 'hex')) : this.#others.has(name);
  }

  #hasKey(key: Buffer): boolean {
    let [low, high] = [0, this.#sorted.length / KEY_BYTES];
    while (low < high) {
      const middle = (low + high) >>> 1;
      const order = this.#sorted.compare(key, 0, KEY_BYTES, middle * KEY_BYTES, (middle + 1) * KEY_BYTES);
      if (order === 0) return true;
      if (order < 0) low = middle + 1;
      else high = middle;
    }
    return false;
  }
}
