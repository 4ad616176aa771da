/**
 * Work for the time in which an answer is awaited, out of the way of its question: undici looks at an idle connection for one turn of the loop
 * before a question goes out by it, so what takes a disk half a millisecond begins in the turn behind that.
 * @returns call it when the work is not wanted any more; what has begun is done
 */
export function afterRequest(work: () => void): () => void {
  let turn = setImmediate(() => {
    turn = setImmediate(work);
  });
  return () => clearImmediate(turn);
}
