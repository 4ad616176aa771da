/** A value that is often known at once: the hot path answers in the same turn of the loop and makes no promise. */
export type Answer<T> = T | Promise<T>;

/** Goes on with a value now when it is here, later when it is not. */
export function andThen<T, U>(value: Answer<T>, next: (value: T) => Answer<U>): Answer<U> {
  return value instanceof Promise ? value.then(next) : next(value);
}
