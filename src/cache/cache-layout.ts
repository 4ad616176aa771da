/** Where things lie below `CACHE_DIR/v1/`: `XX/KEY` for the copies (XX: the first two digits of the sum), `tmp/`, `quarantine/`, `index`. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { FilestoreError } from '../base/errors.js';
import type { CacheKey } from './cache.js';

const CACHE_FORMAT = 'v1';
export const FILE_MODE = 0o600;
export const DIRECTORY_MODE = 0o700;

const KEY = /^(?:sha1-[0-9a-f]{40}|md5-[0-9a-f]{32})$/;

export function isCacheKey(name: string): name is CacheKey {
  return KEY.test(name);
}

export class CacheLayout {
  readonly root: string;
  readonly temporary: string;
  readonly quarantine: string;
  readonly index: string;

  constructor(directory: string) {
    this.root = join(directory, CACHE_FORMAT);
    this.temporary = join(this.root, 'tmp');
    this.quarantine = join(this.root, 'quarantine');
    this.index = join(this.root, 'index');
  }

  /** Also after somebody removed the folder while we run. */
  make(): void {
    mkdirSync(this.temporary, { recursive: true, mode: DIRECTORY_MODE });
    mkdirSync(this.quarantine, { recursive: true, mode: DIRECTORY_MODE });
  }

  directoryOf(key: CacheKey): string {
    const sum = key.indexOf('-') + 1;
    return `${this.root}/${key.slice(sum, sum + 2)}`;
  }

  /** @throws FilestoreError internal for what is no key, so that none can lead out of the folder */
  pathOf(key: CacheKey): string {
    if (!isCacheKey(key)) throw new FilestoreError('internal', `"${String(key)}" is not a cache key`);
    return `${this.directoryOf(key)}/${key}`;
  }
}

/** The sum that a key promises, by the name that node:crypto has for it. */
export function algorithmOf(key: CacheKey): 'sha1' | 'md5' {
  return key.startsWith('sha1-') ? 'sha1' : 'md5';
}

export function sumOf(key: CacheKey): string {
  return key.slice(key.indexOf('-') + 1);
}
