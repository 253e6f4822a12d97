/**
 * Traps: what the seed does not determine throws while a simulation runs.
 *
 * Real timers, clocks, randomness, network and files are replaced on the
 * global object by functions that throw and say what to ask the Host instead;
 * everything is put back afterwards, whatever happened. What escapes a trap: a
 * reference taken before the run (`const { now } = Date` at the top of a
 * module), the `node:` modules (`node:timers`, `node:fs`), and a first-time
 * `import()`. The project's lint rules bar the former two from plugins; the
 * double run finds what is left. The driver itself keeps one real function,
 * {@linkcode nextTurn}: a barrier in virtual time would wait for itself.
 */
import { setImmediate } from "node:timers";
import { MycnetError } from "../kernel/errors.ts";

/** Marks a trap, so that a second simulation, even of another copy of the runtime, sees the first. */
const mark = Symbol.for("mycnet.simulation.trap");

const files = "keep files outside of the run, or in the store capability";
const sockets = "use the transport or the datagrams capability";

/** Runs `run` when all that the event loop holds, and every promise that is ready, has been dealt with. */
export function nextTurn(run: () => void): void {
  setImmediate(run);
}

/** The functions of `Deno` that reach out of the process, by what to use instead. */
const denoTraps: Readonly<Record<string, readonly string[]>> = {
  [files]: [
    "chmod,chown,copyFile,create,link,lstat,makeTempDir,makeTempFile,mkdir,open,readDir,readFile",
    "readLink,readTextFile,realPath,remove,rename,stat,symlink,truncate,utime,writeFile,writeTextFile",
  ].join().split(",").flatMap((name) => [name, `${name}Sync`]),
  [sockets]: [
    ..."connect,connectTls,connectQuic,listen,listenTls,listenDatagram,resolveDns".split(","),
    ..."startTls,serve,QuicEndpoint,upgradeWebTransport".split(","),
  ],
  "start processes outside of the run": ["Command", "spawn", "watchFs", "cron"],
};

interface Trap {
  readonly target: object;
  readonly key: string;
  readonly value: unknown;
}

/** Sets all traps. Disposing puts everything back. @throws with code `simulation_failed` if they are set already. */
export function setTraps(onTrap: (what: string) => void = () => {}): Disposable {
  if (mark in globalThis) {
    throw new MycnetError(
      "simulation_failed",
      "another simulation runs in this process; run one at a time",
    );
  }
  const traps = collect((what, instead) => {
    onTrap(what);
    throw new MycnetError(
      "simulation_trap",
      `${what} is not determined by the seed of the simulation; ${instead}`,
    );
  });
  const saved = traps.map(({ target, key, value }) => {
    const before = Object.getOwnPropertyDescriptor(target, key);
    Object.defineProperty(target, key, { value, configurable: true, writable: true });
    return { target, key, before };
  });
  Object.defineProperty(globalThis, mark, { value: true, configurable: true });
  return {
    [Symbol.dispose]: () => {
      for (const { target, key, before } of saved) {
        if (before === undefined) Reflect.deleteProperty(target, key);
        else Object.defineProperty(target, key, before);
      }
      Reflect.deleteProperty(globalThis, mark);
    },
  };
}

function collect(spring: (what: string, instead: string) => never): Trap[] {
  const traps: Trap[] = [];
  const add = (target: object, owner: string, key: string, instead: string) => {
    if (!(key in target)) return;
    const what = owner === "" ? key : `${owner}.${key}`;
    // A function declaration, so that `new` springs it as well.
    traps.push({
      target,
      key,
      value: function () {
        spring(what, instead);
      },
    });
  };
  add(globalThis, "", "setTimeout", "use host.after() or host.sleep()");
  add(globalThis, "", "setInterval", "use host.every()");
  add(globalThis, "", "setImmediate", "use host.barrier()");
  add(globalThis, "", "fetch", sockets);
  add(globalThis, "", "WebSocket", sockets);
  add(globalThis, "", "EventSource", sockets);
  add(globalThis, "", "Worker", "start workers outside of the run");
  add(globalThis, "", "BroadcastChannel", "use host.emit() and host.on()");
  add(AbortSignal, "AbortSignal", "timeout", "use host.after() and an AbortController");
  add(Math, "Math", "random", "use host.random()");
  add(performance, "performance", "now", "use host.now()");
  add(crypto, "crypto", "getRandomValues", "use host.randomBytes()");
  add(crypto, "crypto", "randomUUID", "use host.id()");
  const { Temporal } = globalThis as { Temporal?: { Now: object } };
  if (Temporal !== undefined) {
    for (const key of Object.getOwnPropertyNames(Temporal.Now)) {
      add(Temporal.Now, "Temporal.Now", key, "use host.wallTime()");
    }
  }
  for (const [instead, names] of Object.entries(denoTraps)) {
    for (const name of names) add(Deno, "Deno", name, instead);
  }
  const subtle = new Proxy({}, {
    get: (_target, key) => () =>
      spring(`crypto.subtle.${String(key)}()`, "use the synchronous functions of node:crypto"),
  });
  traps.push({ target: crypto, key: "subtle", value: subtle });
  traps.push({ target: globalThis, key: "Date", value: trappedDate(spring) });
  return traps;
}

/** `Date` that still parses and formats, but does not tell the time. */
function trappedDate(spring: (what: string, instead: string) => never): DateConstructor {
  const now = () => spring("Date.now", "use host.wallTime()");
  return new Proxy(Date, {
    get: (target, key, receiver) => key === "now" ? now : Reflect.get(target, key, receiver),
    construct: (target, args, newTarget) =>
      args.length > 0
        ? Reflect.construct(target, args, newTarget)
        : spring("new Date()", "use new Date(host.wallTime())"),
    apply: () => spring("Date()", "use new Date(host.wallTime())"),
  });
}
