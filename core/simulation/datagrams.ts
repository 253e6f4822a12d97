/** The datagrams plugin of a simulated node; it stands in for any other, as the transport does. */
import { type Datagrams, datagrams } from "../contracts/datagrams.ts";
import { type Settings, settings } from "../contracts/settings.ts";
import { MycnetError } from "../kernel/errors.ts";
import { maybe, type Plugin } from "../kernel/plugin.ts";
import { DatagramSocket, maxDatagramBytes } from "./datagram.ts";
import { parseBindAddress, type Place, portOf, resolveHost } from "./transport.ts";

/** The plugin at a place. Without an original, its configuration is `{ bindAddress?: "host:port" }`. */
export function simulatedDatagrams(place: Place, original?: Plugin<unknown>): Plugin<Datagrams> {
  const { network, machine, loop } = place;
  return {
    name: original?.name ?? "simulated-datagrams",
    summary: original?.summary ?? "Simulated datagrams.",
    provides: datagrams,
    needs: { ...original?.needs, simulatedSettings: maybe(settings) },
    parse: (config) => original === undefined ? parseBindAddress(config) : original.parse(config),
    schema: () => original?.schema() ?? { type: "object" },
    permissions: () => ({}),
    setup(scope) {
      const node = scope.needs["simulatedSettings"] as Settings | undefined;
      const port = portOf(scope.config, node) ?? 0;
      let handler: ((bytes: Uint8Array, from: string) => void) | undefined;
      const socket = scope.own(
        new DatagramSocket(network, machine, port, loop, (bytes, from) => handler?.(bytes, from)),
      );
      return {
        id: scope.id,
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
      };
    },
  };
}
