/**
 * Random declarations in random sequence against a model that knows nothing of
 * how the kernel works: what is valid, what must run afterwards, and in which
 * order things may start and stop.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { z } from "zod";
import {
  type Capability,
  capability,
  live,
  maybe,
  type Need,
  type Needs,
  type Plugin,
} from "./plugin.ts";
import { definePlugin } from "./define_plugin.ts";
import { Kernel } from "./kernel.ts";
import { fakeHost } from "./fake_host_test.ts";

type Arity = Need<unknown>["arity"];
type Note = "1" | "2" | "bad";
interface Kind {
  readonly provides: number;
  readonly needs: readonly { readonly capability: number; readonly arity: Arity }[];
  /** Whether it carries on with a changed configuration. */
  readonly accepts: boolean;
}
interface Instance {
  readonly id: string;
  readonly kind: number;
  readonly note: Note;
}

const capabilities = 5;
const kindArbitrary: fc.Arbitrary<Kind> = fc.record({
  provides: fc.nat(capabilities - 1),
  needs: fc.array(
    fc.record({
      capability: fc.nat(capabilities - 1),
      arity: fc.constantFrom<Arity>("one", "maybe", "live", "live"),
    }),
    { maxLength: 2 },
  ),
  accepts: fc.boolean(),
});
const kindsArbitrary = fc.array(kindArbitrary, { minLength: 3, maxLength: 6 });
const declarationArbitrary: fc.Arbitrary<Instance[]> = fc.uniqueArray(
  fc.record({
    id: fc.constantFrom("p", "q", "r", "s", "t", "u"),
    kind: fc.nat(5),
    note: fc.oneof(
      { weight: 12, arbitrary: fc.constantFrom<Note>("1", "2") },
      { weight: 1, arbitrary: fc.constant<Note>("bad") },
    ),
  }),
  { selector: ({ id }) => id, maxLength: 5 },
);

/** Notes every start and stop, and checks there and then that it was allowed. */
class World {
  readonly running = new Map<string, { kind: Kind; note: () => Note }>();
  readonly #kinds: readonly Kind[];
  readonly #plugins: readonly Plugin<string>[];
  /** What happened that must not, kept here because the kernel catches what a plugin throws. */
  readonly violations: string[] = [];
  changes = 0;

  constructor(kinds: readonly Kind[]) {
    this.#kinds = kinds;
    this.#plugins = kinds.map((kind, at) => this.#plugin(kind, at));
  }

  kind(instance: Instance): Kind {
    return this.#kinds[instance.kind % this.#kinds.length]!;
  }

  entries(declaration: readonly Instance[]) {
    return declaration.map(({ id, kind, note }) => ({
      id,
      plugin: this.#plugins[kind % this.#plugins.length]!,
      config: { note },
    }));
  }

  /** Whether it can run at all, decided the slow way. */
  canRun(declaration: readonly Instance[]): boolean {
    const providers = (name: number) =>
      declaration.filter((other) => this.kind(other).provides === name);
    const hard = (instance: Instance) =>
      this.kind(instance).needs.filter(({ arity }) => arity !== "live");
    const satisfied = declaration.every((instance) =>
      hard(instance).every(({ capability, arity }) => {
        const count = providers(capability).length;
        return count === 1 || (count === 0 && arity === "maybe");
      })
    );
    if (!satisfied || declaration.some(({ note }) => note === "bad")) return false;
    let left = [...declaration];
    for (;;) {
      const blocked = left.filter((instance) =>
        hard(instance).some(({ capability }) =>
          left.some((other) => this.kind(other).provides === capability)
        )
      );
      if (blocked.length === left.length) return left.length === 0;
      left = blocked;
    }
  }

  #plugin(kind: Kind, at: number): Plugin<string> {
    const name = (index: number): Capability<string> => capability(`c${index}`);
    const needs: Record<string, Need<unknown>> = {};
    kind.needs.forEach((need, index) => {
      const token = name(need.capability);
      const form = { one: token, maybe: maybe(token), live: live(token) }[need.arity];
      needs[`n${index}`] = form as Need<unknown>;
    });
    return definePlugin<string, { note: Note }, Needs>({
      name: `kind${at}`,
      summary: "Random.",
      provides: name(kind.provides),
      needs,
      config: z.strictObject({ note: z.enum(["1", "2", "bad"]) }),
      setup: async (scope) => {
        await Promise.resolve();
        this.changes++;
        if (this.running.has(scope.id)) this.violations.push(`${scope.id} started twice`);
        kind.needs.forEach(({ capability, arity }, index) => {
          const found = this.#providersOf(capability);
          const value = scope.needs[`n${index}`];
          const expected = found.length === (arity === "one" ? 1 : found.length) &&
            value === found[0];
          if (arity !== "live" && !expected) {
            this.violations.push(`${scope.id} was given ${value} of ${found}`);
          }
        });
        if (scope.config.note === "bad") throw new Error("bad");
        this.running.set(scope.id, { kind, note: () => scope.config.note });
        scope.own({ [Symbol.dispose]: () => this.#stop(scope.id, kind) });
        if (kind.accepts) scope.onReconfigure((next) => next.note !== "bad");
        return scope.id;
      },
    });
  }

  #providersOf(name: number): string[] {
    return [...this.running].filter(([, { kind }]) => kind.provides === name).map(([id]) => id);
  }

  #stop(id: string, { provides }: Kind): void {
    this.changes++;
    if (!this.running.delete(id)) this.violations.push(`${id} stopped without running`);
    for (const [other, { kind }] of this.running) {
      const rests = kind.needs.some(({ capability, arity }) =>
        capability === provides && arity !== "live"
      );
      if (rests) this.violations.push(`${id} stopped before ${other}, which rests on it`);
    }
  }
}

const shape = (instances: readonly (readonly [string, Note])[]) =>
  [...instances].sort(([a], [b]) => a < b ? -1 : 1);

Deno.test("after any sequence of applies, what runs is what was asked for, or what ran before", async () => {
  await fc.assert(
    fc.asyncProperty(
      kindsArbitrary,
      fc.array(declarationArbitrary, { minLength: 1, maxLength: 8 }),
      async (kinds, declarations) => {
        const world = new World(kinds);
        const kernel = new Kernel(fakeHost());
        let previous: Instance[] = [];
        for (const wanted of declarations) {
          const applied = await kernel.apply(world.entries(wanted)).then(() => true, () => false);
          assert.equal(applied, world.canRun(wanted));
          if (applied) previous = wanted;
          assert.deepEqual(
            shape([...world.running].map(([id, { note }]) => [id, note()] as const)),
            shape(previous.map(({ id, note }) => [id, note] as const)),
          );
          assert.deepEqual(
            kernel.running().map(({ id }) => id).sort(),
            [...world.running.keys()].sort(),
          );
          const { changes } = world;
          const again = await kernel.apply(world.entries(previous));
          assert.equal(world.changes, changes, "applying what runs changes nothing");
          assert.deepEqual([again.started, again.stopped, again.reconfigured], [[], [], []]);
        }
        await kernel.stop();
        assert.equal(world.running.size, 0);
        assert.deepEqual(world.violations, []);
      },
    ),
    { numRuns: 300 },
  );
});

Deno.test("applies asked for all at once, and a stop at any moment, leave nothing running", async () => {
  await fc.assert(
    fc.asyncProperty(
      kindsArbitrary,
      fc.array(declarationArbitrary, { minLength: 1, maxLength: 6 }),
      fc.nat(40),
      async (kinds, declarations, turns) => {
        const world = new World(kinds);
        const host = fakeHost();
        const kernel = new Kernel(host);
        const applied = declarations.map((it) => kernel.apply(world.entries(it)));
        const settled = Promise.allSettled(applied);
        for (let turn = 0; turn < turns; turn++) await Promise.resolve();
        await kernel.stop();
        const results = await settled;
        results.forEach((result, at) => {
          if (result.status === "fulfilled") assert.ok(world.canRun(declarations[at]!));
        });
        await host.barrier(); // Abandoned set-ups finish here, into ended scopes.
        assert.equal(world.running.size, 0);
        assert.deepEqual(world.violations, []);
        assert.deepEqual(kernel.running(), []);
        assert.equal(host.timers, 0);
      },
    ),
    { numRuns: 200 },
  );
});
