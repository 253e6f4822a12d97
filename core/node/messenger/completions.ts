/** Promises in the order in which they settle. */

/**
 * Yields the value of each promise as it comes. None of them may reject:
 * make failures values first. Leaving the loop early leaves the rest alone.
 */
export async function* completions<T>(promises: readonly Promise<T>[]): AsyncIterable<T> {
  const arrived: T[] = [];
  let wake = Promise.withResolvers<void>();
  for (const promise of promises) {
    promise.then((value) => {
      arrived.push(value);
      wake.resolve();
    });
  }
  for (let yielded = 0; yielded < promises.length;) {
    if (arrived.length === 0) {
      await wake.promise;
      wake = Promise.withResolvers<void>();
    }
    // Whatever arrives while the consumer works is found by the next pass.
    for (const value of arrived.splice(0)) {
      yielded++;
      yield value;
    }
  }
}
