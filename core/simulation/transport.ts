/**
 * The transport plugin of a simulated node.
 *
 * It stands in for any transport: it keeps the original's name, configuration
 * and scheme, so a declaration written for real sockets is checked as it would
 * be there, and listens at the machine's name instead of the configured host.
 * Who is at the other end is known by fiat: both sides say who they are, and
 * the network does not let them lie.
 */
import { type Connection, type Transport, transport } from "../contracts/transport.ts";
import { type Identity, identity } from "../contracts/identity.ts";
import { type Settings, settings } from "../contracts/settings.ts";
import { MycnetError } from "../kernel/errors.ts";
import { maybe, type Needs, type ParsedConfig, type Plugin, type Scope } from "../kernel/plugin.ts";
import { dial } from "./dial.ts";
import type { Loop } from "./loop.ts";
import type { End, Machine, StreamFacts, StreamListener } from "./machine.ts";
import { type Network, parseAddress } from "./network.ts";
import { backlog } from "./stream.ts";

/** Where a simulated plugin lives. */
export interface Place {
  readonly network: Network;
  readonly machine: Machine;
  readonly loop: Loop;
}

/** How peers are known on simulated links. */
export interface SimTransportOptions {
  /** `verified`: as a certificate would prove it, where the node has an identity. `fiat`: the hello counts. Default `verified`. */
  readonly authentication?: "verified" | "fiat";
}

const needs = { simulatedSettings: maybe(settings), simulatedIdentity: maybe(identity) };

/** The plugin that stands in for `original` at a place. */
export function simulatedTransport(
  original: Plugin<unknown>,
  place: Place,
  options: SimTransportOptions = {},
): Plugin<Transport> {
  return {
    name: original.name,
    summary: original.summary,
    provides: transport,
    needs: { ...original.needs, ...needs },
    parse: (config) => original.parse(config),
    schema: () => original.schema(),
    permissions: () => ({}),
    setup: (scope) => setUp(scope, original.name, place, options),
  };
}

/** A transport to declare where there is no original: `{ bindAddress?: "host:port" | false }`. */
export const plainTransport: Plugin<unknown> = {
  name: "simulated",
  summary: "Simulated connections.",
  provides: transport,
  needs: {},
  parse: parseBindAddress,
  schema: () => ({
    type: "object",
    properties: { bindAddress: { anyOf: [{ type: "string" }, { const: false }] } },
    additionalProperties: false,
  }),
  permissions: () => ({}),
  setup: () => {
    throw new MycnetError("simulation_failed", "the simulated transport runs inside simulate()");
  },
};

/** Parses `{ bindAddress?: "host:port" | false }`. */
export function parseBindAddress(config: unknown): ParsedConfig {
  const fields = Object.entries(config as Record<string, unknown>);
  for (const [key, value] of fields) {
    const known = key === "bindAddress";
    if (known && (value === false || value === undefined || typeof value === "string")) continue;
    const message = known ? "must be host:port, or false" : "is unknown; only bindAddress is taken";
    return { ok: false, issues: [{ path: [key], message }] };
  }
  return { ok: true, value: config };
}

/** The port to bind to: the plugin's own address, else the node's; undefined for nowhere. */
export function portOf(config: unknown, node: Settings | undefined): number | undefined {
  const own = (config as { bindAddress?: string | false } | undefined)?.bindAddress;
  const address = own ?? (node === undefined ? "0.0.0.0:7000" : node.bindAddress);
  return typeof address === "string" ? parseAddress(address).port : undefined;
}

/** Addresses of one's own machine, whatever they are called. */
const ownHosts = new Set(["localhost", "127.0.0.1", "0.0.0.0", "[::1]", "[::]"]);

/** An address as the simulated network knows it. */
export function resolveHost(address: string, machine: Machine): string {
  const { host, port } = parseAddress(address);
  return ownHosts.has(host) ? `${machine.name}:${port}` : address;
}

function setUp(
  scope: Scope<unknown, Needs>,
  scheme: string,
  { network, machine, loop }: Place,
  options: SimTransportOptions,
): Transport {
  const { simulatedSettings, simulatedIdentity } = scope.needs as {
    simulatedSettings: Settings | undefined;
    simulatedIdentity: Identity | undefined;
  };
  const self = simulatedIdentity?.self;
  const known = self !== undefined && options.authentication !== "fiat";
  const facts: StreamFacts = {
    transport: scope.id,
    scheme,
    ...(known ? { principal: { cluster: self.cluster, type: self.type, id: self.id } } : {}),
  };
  const port = portOf(scope.config, simulatedSettings);
  const inbox = new Inbox(loop, facts);
  const addresses: string[] = [];
  if (port !== undefined) {
    const bound = port === 0 ? machine.freePort() : port;
    if (machine.listeners.has(bound)) {
      throw new MycnetError("address_in_use", `something listens at ${machine.name}:${bound}`);
    }
    machine.listeners.set(bound, inbox);
    addresses.push(`${scheme}://${machine.name}:${bound}`);
    scope.own({
      [Symbol.dispose]: () => {
        if (machine.listeners.get(bound) === inbox) machine.listeners.delete(bound);
      },
    });
  }
  scope.own({
    [Symbol.dispose]: () => {
      for (const end of [...machine.ends]) {
        if (end.loop === loop && end.transport === scope.id) end.destroy();
      }
    },
  });
  return {
    id: scope.id,
    scheme,
    addresses,
    async dial(address, { signal, timeoutMs }) {
      return await dial({
        network,
        machine,
        loop,
        facts,
        address: resolveHost(address, machine),
        timeoutMs,
        signal: AbortSignal.any([signal, scope.signal]),
      });
    },
    accept: (handler) => inbox.subscribe(handler),
  };
}

/** Inbound connections, held until somebody takes them. */
export class Inbox implements StreamListener {
  readonly loop: Loop;
  readonly facts: StreamFacts;
  arriving = 0;
  #held: End[] = [];
  #handler: ((connection: Connection) => void) | undefined;

  constructor(loop: Loop, facts: StreamFacts) {
    this.loop = loop;
    this.facts = facts;
  }

  accept(end: End): boolean {
    if (this.#handler !== undefined) {
      this.#handler(end);
      return true;
    }
    if (this.#held.length >= backlog) return false;
    this.#held.push(end);
    return true;
  }

  subscribe(handler: (connection: Connection) => void): Disposable {
    if (this.#handler !== undefined) {
      throw new MycnetError("duplicate_handler", "somebody accepts connections already");
    }
    this.#handler = handler;
    const held = this.#held;
    this.#held = [];
    for (const end of held) if (!end.gone) handler(end);
    return {
      [Symbol.dispose]: () => {
        if (this.#handler === handler) this.#handler = undefined;
      },
    };
  }
}
