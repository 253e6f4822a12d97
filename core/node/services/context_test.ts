import assert from "node:assert/strict";
import { type Ambient, ambientCall, makingCalls, outsideCalls, serveWithin } from "./context.ts";

function call(): Ambient & { finished: boolean } {
  return {
    finished: false,
    metadata: {},
    priority: "normal",
    depth: 0,
    retriesLeft: 0,
    deadline: () => Infinity,
    adopt: () => {},
    release: () => {},
  };
}

// One test, since a process that makes calls does so for good.
Deno.test("a handler's call is found while it runs: on the stack always, later where it may be looked for", async () => {
  const served = call();
  const found: unknown[] = [];
  let later: Promise<unknown> | undefined;
  const handler = () => {
    found.push(ambientCall(), outsideCalls(ambientCall), ambientCall());
    later = Promise.resolve().then(ambientCall);
  };

  serveWithin(served, handler, false);
  assert.deepEqual(found, [served, undefined, served]);
  assert.equal(ambientCall(), undefined);
  assert.equal(await later, undefined);

  serveWithin(served, handler, true);
  assert.equal(ambientCall(), undefined);
  assert.equal(await later, served);

  assert.throws(() =>
    serveWithin(served, () => {
      throw new Error("handler");
    }, false), /handler/);
  assert.equal(ambientCall(), undefined);

  makingCalls();
  serveWithin(served, handler, false);
  assert.equal(await later, served);
  served.finished = true;
  serveWithin(served, handler, false);
  assert.equal(await later, undefined);
});
