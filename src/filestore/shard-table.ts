/**
 * The names of one shard: an open-addressing hash table in typed arrays, so that a million names cost tens of megabytes and no garbage
 * collector ever walks them. Key: the 20 bytes of the SHA-1. Value: size in bytes and when it was last known to be true.
 *
 * INVARIANT: `#checked[slot]` is 0 for a slot never used, 1 for one whose name was removed, 2 for one nobody has checked; else seconds since the epoch.
 */
const KEY_BYTES = 20;
const FREE = 0;
const REMOVED = 1;
const UNCHECKED = 2;

function nibble(code: number): number {
  return code < 58 ? code - 48 : code - 87;
}

interface TableEntry {
  readonly sizeBytes: number;
  /** Seconds since the epoch. */
  readonly checkedAtS: number;
}

export class ShardTable {
  #capacity = 16;
  #keys = Buffer.alloc(16 * KEY_BYTES);
  #sizes = new Float64Array(16);
  #checked = new Uint32Array(16);
  #used = 0;
  #count = 0;
  readonly #key = new Uint8Array(KEY_BYTES);
  /** When the name that {@link sizeIfChecked} was last asked for was checked, in seconds since the epoch; 0: it is not there. */
  foundCheckedAtS = 0;
  /**
   * When a listing of this shard was last complete, ms since the epoch; 0 for never. With several nodes earlier, where it did not show a name that is
   * still believed: until that one is to be asked for.
   */
  listedAtMs = 0;

  get count(): number {
    return this.#count;
  }

  get(sha1: string): TableEntry | undefined {
    const slot = this.#find(sha1);
    return slot < 0 ? undefined : { sizeBytes: this.#sizes[slot] ?? 0, checkedAtS: this.#checked[slot] ?? 0 };
  }

  /** Size of a name that was checked at `sinceS` or later; -1 otherwise. Makes no garbage: the hot path of stat. */
  sizeIfChecked(sha1: string, sinceS: number): number {
    const slot = this.#find(sha1);
    this.foundCheckedAtS = slot < 0 ? 0 : (this.#checked[slot] ?? 0);
    return slot >= 0 && this.foundCheckedAtS >= sinceS ? (this.#sizes[slot] ?? 0) : -1;
  }

  set(sha1: string, sizeBytes: number, checkedAtS: number): void {
    this.#put(this.#find(sha1), sizeBytes, checkedAtS);
  }

  /** The same by the 20 bytes of the SHA-1, for who reads a million of them. */
  setBytes(bytes: Uint8Array, at: number, sizeBytes: number): void {
    for (let i = 0; i < KEY_BYTES; i++) this.#key[i] = bytes[at + i] ?? 0;
    this.#put(this.#findKey(), sizeBytes, 0);
  }

  #put(found: number, sizeBytes: number, checkedAtS: number): void {
    let slot = found;
    if (slot < 0) {
      if ((this.#used + 1) * 4 > this.#capacity * 3) this.#rebuild(this.#count * 2 >= this.#capacity ? this.#capacity * 2 : this.#capacity);
      slot = this.#freeSlot();
      if (this.#checked[slot] === FREE) this.#used++;
      this.#count++;
      this.#keys.set(this.#key, slot * KEY_BYTES);
    }
    this.#sizes[slot] = sizeBytes;
    this.#checked[slot] = Math.max(UNCHECKED, checkedAtS);
  }

  delete(sha1: string): boolean {
    const slot = this.#find(sha1);
    if (slot < 0) return false;
    this.#checked[slot] = REMOVED;
    this.#count--;
    return true;
  }

  /** Makes room for this many names at once. */
  reserve(names: number): void {
    let capacity = this.#capacity;
    while (names * 4 > capacity * 3) capacity *= 2;
    if (capacity > this.#capacity) this.#rebuild(capacity);
  }

  /** The names that {@link sweep} would remove. The table must not be changed while this runs. */
  *checkedBefore(beforeS: number, sparesUnchecked = false): Generator<string> {
    for (const slot of this.#slotsBefore(beforeS, sparesUnchecked)) yield this.#name(slot);
  }

  /** Removes what was last checked before `beforeS`, but for what never was where that is spared. @returns how many */
  sweep(beforeS: number, sparesUnchecked = false): number {
    let swept = 0;
    for (const slot of this.#slotsBefore(beforeS, sparesUnchecked)) {
      this.#checked[slot] = REMOVED;
      swept++;
    }
    this.#count -= swept;
    return swept;
  }

  *#slotsBefore(beforeS: number, sparesUnchecked: boolean): Generator<number> {
    const fromS = sparesUnchecked ? UNCHECKED + 1 : UNCHECKED;
    for (let slot = 0; slot < this.#capacity; slot++) {
      const checked = this.#checked[slot] ?? 0;
      if (checked >= fromS && checked < beforeS) yield slot;
    }
  }

  /** When the name was checked whose check is the oldest, in seconds since the epoch; Infinity when there is none. */
  get oldestCheckedAtS(): number {
    let oldest = Infinity;
    for (let slot = 0; slot < this.#capacity; slot++) {
      const checked = this.#checked[slot] ?? 0;
      if (checked > REMOVED && checked < oldest) oldest = checked;
    }
    return oldest;
  }

  /** The table must not be changed while this runs. */
  *entries(): Generator<{ readonly sha1: string; readonly sizeBytes: number; readonly checkedAtS: number }> {
    for (let slot = 0; slot < this.#capacity; slot++) {
      const checkedAtS = this.#checked[slot] ?? 0;
      if (checkedAtS > REMOVED) yield { sha1: this.#name(slot), sizeBytes: this.#sizes[slot] ?? 0, checkedAtS };
    }
  }

  /** The names nobody has checked. The table must not be changed while this runs. */
  *unchecked(): Generator<string> {
    for (let slot = 0; slot < this.#capacity; slot++) if (this.#checked[slot] === UNCHECKED) yield this.#name(slot);
  }

  #name(slot: number): string {
    return this.#keys.toString('hex', slot * KEY_BYTES, (slot + 1) * KEY_BYTES);
  }

  /** Leaves the key's bytes in `#key`. @returns its slot or -1 */
  #find(sha1: string): number {
    const key = this.#key;
    for (let i = 0; i < KEY_BYTES; i++) key[i] = (nibble(sha1.charCodeAt(2 * i)) << 4) | nibble(sha1.charCodeAt(2 * i + 1));
    return this.#findKey();
  }

  #findKey(): number {
    const mask = this.#capacity - 1;
    for (let slot = this.#hash() & mask; ; slot = (slot + 1) & mask) {
      const checked = this.#checked[slot] ?? 0;
      if (checked === FREE) return -1;
      if (checked !== REMOVED && this.#equals(slot)) return slot;
    }
  }

  #hash(): number {
    const k = this.#key;
    return ((k[2] ?? 0) | ((k[3] ?? 0) << 8) | ((k[4] ?? 0) << 16) | ((k[5] ?? 0) << 24)) >>> 0;
  }

  #equals(slot: number): boolean {
    const base = slot * KEY_BYTES;
    for (let i = 0; i < KEY_BYTES; i++) if (this.#keys[base + i] !== this.#key[i]) return false;
    return true;
  }

  #freeSlot(): number {
    const mask = this.#capacity - 1;
    for (let slot = this.#hash() & mask; ; slot = (slot + 1) & mask) if ((this.#checked[slot] ?? 0) <= REMOVED) return slot;
  }

  #rebuild(capacity: number): void {
    const wanted = this.#key.slice();
    const [keys, sizes, checked, before] = [this.#keys, this.#sizes, this.#checked, this.#capacity];
    this.#capacity = capacity;
    this.#keys = Buffer.alloc(this.#capacity * KEY_BYTES);
    this.#sizes = new Float64Array(this.#capacity);
    this.#checked = new Uint32Array(this.#capacity);
    this.#used = this.#count;
    for (let slot = 0; slot < before; slot++) {
      const at = checked[slot] ?? 0;
      if (at <= REMOVED) continue;
      this.#key.set(keys.subarray(slot * KEY_BYTES, (slot + 1) * KEY_BYTES));
      const to = this.#freeSlot();
      this.#keys.set(this.#key, to * KEY_BYTES);
      this.#sizes[to] = sizes[slot] ?? 0;
      this.#checked[to] = at;
    }
    this.#key.set(wanted);
  }
}
