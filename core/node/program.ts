/**
 * What the program that embeds the node registered: services it serves,
 * handlers of messages, middleware, nodes that it made known.
 *
 * The registrations belong to the program, not to the plugins that hold them:
 * when a reload restarts those, this plugin restarts with them and registers
 * everything anew, so that a changed port silences nobody. A registration that
 * the running plugins refuse (a second handler of one name) is not kept.
 */
import { z } from "zod";
import { type Bulk, bulk } from "../contracts/bulk.ts";
import { type Messenger, messenger } from "../contracts/messenger.ts";
import { metricsSources } from "../contracts/metrics.ts";
import { type Peers, peers } from "../contracts/peers.ts";
import { definePlugin } from "../kernel/define_plugin.ts";
import { MycnetError } from "../kernel/errors.ts";
import { type Capability, capability, type Plugin } from "../kernel/plugin.ts";
import { type ServiceLayer, serviceLayer } from "./services/mod.ts";

/** Why something asked of the node cannot be done. */
export const notRunning = "The node is stopping, has stopped, or is reloading";

/** Where registrations go. */
export interface ProgramLayers {
  readonly services: ServiceLayer;
  readonly messenger: Messenger;
  readonly peers: Peers;
  readonly bulk: Bulk;
}

type Undo = Disposable | AsyncDisposable;
type Attach = (layers: ProgramLayers) => Undo;
interface Registration {
  readonly attach: Attach;
  undo: Undo | undefined;
}

/** True for what takes its time, as a service does. */
const drains = (undo: Undo): boolean => Symbol.asyncDispose in undo;

async function dispose(resource: Undo | undefined): Promise<void> {
  if (resource === undefined) return;
  if (Symbol.asyncDispose in resource) await resource[Symbol.asyncDispose]();
  else resource[Symbol.dispose]();
}

const program: Capability<Program> = capability("program");

/** The registrations of one node. */
export class Program {
  /** Messages that a definition's schema refused. */
  invalidMessages = 0;
  readonly #registrations = new Set<Registration>();
  #layers: ProgramLayers | undefined;

  /** The plugin that keeps them registered. */
  readonly plugin: Plugin<Program> = definePlugin({
    name: "program",
    summary: "What the embedding program serves and handles.",
    provides: program,
    needs: { services: serviceLayer, messenger, peers, bulk },
    config: z.strictObject({}),
    setup: ({ needs, own, contribute }): Program => {
      own({
        [Symbol.asyncDispose]: async () => {
          // Services first, and all at once: they drain, and what they serve meanwhile needs the
          // middleware and the handlers that it has had all along, and may make calls itself.
          const drained = await Promise.allSettled(this.#take(drains).map(dispose));
          this.#layers = undefined;
          for (const undo of this.#take(() => true)) await dispose(undo);
          for (const it of drained) if (it.status === "rejected") throw it.reason;
        },
      });
      contribute(metricsSources, {
        category: "communication",
        read: () => ({ messages_invalid: this.invalidMessages }),
      });
      this.#layers = needs;
      for (const registration of this.#registrations) {
        registration.undo = registration.attach(needs);
      }
      return this;
    },
  });

  /** The layers as they run now. @throws `closed` while the node is stopping or reloading. */
  get layers(): ProgramLayers {
    if (this.#layers === undefined) {
      throw new MycnetError("closed", notRunning);
    }
    return this.#layers;
  }

  /** What undoes the registrations of a kind, the latest first; they are no longer registered then. */
  #take(kind: (undo: Undo) => boolean): Undo[] {
    const taken: Undo[] = [];
    for (const registration of [...this.#registrations].reverse()) {
      const { undo } = registration;
      if (undo === undefined || !kind(undo)) continue;
      registration.undo = undefined;
      taken.push(undo);
    }
    return taken;
  }

  /** Registers now and after every reload, until disposed. */
  add(attach: Attach): AsyncDisposable {
    const registration: Registration = { attach, undo: attach(this.layers) };
    this.#registrations.add(registration);
    return {
      [Symbol.asyncDispose]: async () => {
        if (!this.#registrations.delete(registration)) return;
        const { undo } = registration;
        registration.undo = undefined;
        await dispose(undo);
      },
    };
  }
}
