/** `mkdir -p` for places that users name. */
import { mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { kindOf } from './errors.js';

/**
 * Makes a directory and those above it that are missing; does nothing to one that is there. Node's own `recursive` tries for ever below a directory
 * that says of each new name that it is not there, as /proc does.
 * @param mode permission bits of what is made
 * @throws what the disk says
 */
export function makeDirectory(path: string, mode: number): void {
  try {
    makeOne(path, mode);
  } catch (error) {
    const above = dirname(path);
    if (kindOf(error) !== 'not-found' || above === path) throw error;
    makeDirectory(above, mode);
    makeOne(path, mode);
  }
}

function makeOne(path: string, mode: number): void {
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    if (kindOf(error) !== 'exists' || !statSync(path).isDirectory()) throw error;
  }
}
