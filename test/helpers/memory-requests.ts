/**
 * How the in-memory client puts one question to a file system: with a caller, a deadline and a count of what is under way, and with the
 * same bookkeeping of lookups and handles that a kernel keeps.
 * INVARIANT: `heldLookups` holds exactly the lookups that were answered and not yet forgotten.
 */
import type { Answer } from '../../src/base/maybe-promise.js';
import { FilestoreError, kindOf, messageOf } from '../../src/base/errors.js';
import type { Caller, Entry, FileSystem } from '../../src/fuse/file-system.js';

export interface Identity {
  readonly uid: number;
  readonly gid: number;
  readonly pid: number;
  /** Stands for a signal sent to the client. */
  readonly signal?: AbortSignal;
}

export class RequestRunner {
  readonly fileSystem: FileSystem;
  readonly #deadlineMs: number;
  readonly #onError: ((operation: string, error: FilestoreError) => void) | undefined;
  readonly heldLookups = new Map<number, number>();
  active = 0;
  openHandles = 0;

  constructor(fileSystem: FileSystem, deadlineMs: number, onError?: (operation: string, error: FilestoreError) => void) {
    this.fileSystem = fileSystem;
    this.#deadlineMs = deadlineMs;
    this.#onError = onError;
  }

  /** @throws FilestoreError what the file system threw; `unavailable` past the deadline, as a kernel client gets EIO */
  async ask<T>(operation: string, who: Identity, question: (fs: FileSystem, caller: Caller) => Answer<T>): Promise<T> {
    const controller = new AbortController();
    let giveUp: (error: FilestoreError) => void = () => undefined;
    const late = new Promise<never>((_, reject) => (giveUp = reject));
    const timer = setTimeout(() => {
      controller.abort();
      giveUp(new FilestoreError('unavailable', `${operation}: no answer within ${this.#deadlineMs} ms`));
    }, this.#deadlineMs);
    const onSignal = (): void => controller.abort();
    if (who.signal?.aborted) controller.abort();
    who.signal?.addEventListener('abort', onSignal, { once: true });
    this.active++;
    try {
      const answer = question(this.fileSystem, { uid: who.uid, gid: who.gid, pid: who.pid, signal: controller.signal });
      return answer instanceof Promise ? await Promise.race([answer, late]) : answer;
    } catch (error) {
      const known = error instanceof FilestoreError ? error : new FilestoreError(kindOf(error), messageOf(error), { cause: error });
      this.#onError?.(operation, known);
      throw known;
    } finally {
      this.active--;
      clearTimeout(timer);
      who.signal?.removeEventListener('abort', onSignal);
    }
  }

  /** Counts an answered entry. */
  hold(entry: Entry): Entry {
    const ino = entry.attributes.ino;
    this.heldLookups.set(ino, (this.heldLookups.get(ino) ?? 0) + 1);
    return entry;
  }

  /** Takes one lookup back. */
  forget(ino: number): void {
    const held = this.heldLookups.get(ino) ?? 0;
    if (held === 0) return;
    if (held === 1) this.heldLookups.delete(ino);
    else this.heldLookups.set(ino, held - 1);
    this.fileSystem.forget(ino, 1);
  }
}
