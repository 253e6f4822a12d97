/**
 * The sockets plugin of a simulated node: datagrams and streams at one port,
 * under the machine's IP address, since protocols on ports of their own write
 * addresses as bytes. Streams know nobody, as plain TCP does.
 */
import { type Port, type PortOptions, type Sockets, sockets } from "../contracts/sockets.ts";
import { MycnetError } from "../kernel/errors.ts";
import type { Plugin } from "../kernel/plugin.ts";
import { DatagramSocket, maxDatagramBytes } from "./datagram.ts";
import { dial } from "./dial.ts";
import type { StreamFacts } from "./machine.ts";
import { parseAddress } from "./network.ts";
import { Inbox, type Place, resolveHost } from "./transport.ts";

/** The plugin at a place, standing in for `original`. */
export function simulatedSockets(place: Place, original: Plugin<unknown>): Plugin<Sockets> {
  return {
    name: original.name,
    summary: original.summary,
    provides: sockets,
    needs: original.needs,
    parse: (config) => original.parse(config),
    schema: () => original.schema(),
    permissions: () => ({}),
    setup: ({ id, own }) => {
      const ports = new Set<Port>();
      own({
        [Symbol.asyncDispose]: async () => {
          for (const port of [...ports]) await port[Symbol.asyncDispose]();
        },
      });
      return {
        id,
        async bind(options) {
          await Promise.resolve(); // It throws as the real one does: by rejecting.
          const port = bind(id, place, options, () => ports.delete(port));
          ports.add(port);
          return port;
        },
      };
    },
  };
}

function bind(id: string, place: Place, options: PortOptions, closed: () => void): Port {
  const { network, machine, loop } = place;
  const wanted = parseAddress(options.bindAddress).port;
  const number = wanted === 0 ? machine.freePort() : wanted;
  const transport = `${id}:${number}`; // Tells the streams of one port from those of another.
  const facts: StreamFacts = { transport, scheme: "gossip" };
  const inbox = new Inbox(loop, facts);
  const stopping = new AbortController();
  let handler: ((bytes: Uint8Array, from: string) => void) | undefined;
  if (machine.listeners.has(number)) {
    throw new MycnetError("address_in_use", `something listens at ${machine.name}:${number}`);
  }
  const socket = new DatagramSocket(
    network,
    machine,
    number,
    loop,
    (bytes, from) => handler?.(bytes, from),
    machine.ip,
  );
  machine.listeners.set(number, inbox);
  /** An address as the simulated network knows it: by the machine's name. */
  const known = (address: string): string => {
    const { host, port } = parseAddress(resolveHost(address, machine));
    return `${network.find(host)?.name ?? host}:${port}`;
  };
  return {
    id,
    address: socket.address,
    maxBytes: maxDatagramBytes,
    send: (to, bytes) => socket.send(resolveHost(to, machine), bytes),
    receive(next) {
      if (handler !== undefined) {
        throw new MycnetError("duplicate_handler", "somebody receives datagrams already");
      }
      handler = next;
      return {
        [Symbol.dispose]: () => {
          if (handler === next) handler = undefined;
        },
      };
    },
    dial: (to, { signal, timeoutMs }) =>
      dial({
        network,
        machine,
        loop,
        facts,
        address: known(to),
        timeoutMs,
        signal: AbortSignal.any([signal, stopping.signal]),
      }),
    accept: (accepted) => inbox.subscribe(accepted),
    [Symbol.asyncDispose]: () => {
      if (stopping.signal.aborted) return Promise.resolve();
      stopping.abort();
      socket[Symbol.dispose]();
      if (machine.listeners.get(number) === inbox) machine.listeners.delete(number);
      for (const end of [...machine.ends]) {
        if (end.loop === loop && end.transport === transport) end.destroy();
      }
      closed();
      return Promise.resolve();
    },
  };
}
