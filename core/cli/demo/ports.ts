/**
 * Ports for the demo's nodes. Each is chosen before its node listens there, and
 * stands empty while the victim is dead; so they come from below the ports that
 * systems give to outgoing connections (from 32768 on Linux, from 49152 where
 * RFC 6335 is followed), or any busy program could take one in between.
 */
import { MycnetError } from "../../kernel/errors.ts";

const lowest = 20_000;
const beyond = 32_768;
const maxTries = 1000;

/**
 * Loopback ports at which nobody listened a moment ago, all different.
 * @param random gives numbers in [0, 1).
 * @throws {MycnetError} `address_in_use` if none can be found.
 */
export function freePorts(count: number, random: () => number): number[] {
  const listeners: Deno.Listener[] = [];
  try {
    for (let tries = 0; listeners.length < count; tries++) {
      const port = lowest + Math.floor(random() * (beyond - lowest));
      try {
        listeners.push(Deno.listen({ hostname: "127.0.0.1", port }));
      } catch (error) {
        if (!(error instanceof Deno.errors.AddrInUse)) throw error;
        if (tries < maxTries) continue;
        throw new MycnetError("address_in_use", `no free port from ${lowest} to ${beyond - 1}`);
      }
    }
    return listeners.map((it) => (it.addr as Deno.NetAddr).port);
  } finally {
    for (const listener of listeners) listener.close();
  }
}
