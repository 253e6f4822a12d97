/** Settings for plugins under test. */
import type { Settings } from "../../core/contracts/settings.ts";

/** Settings of a node that listens on loopback at any free port, with some replaced. */
export function testSettings(over: Partial<Settings> = {}): Settings {
  return {
    id: "node-1",
    type: "sclerotia",
    cluster: "test",
    bindAddress: "127.0.0.1:0",
    advertiseAddress: undefined,
    datacenter: undefined,
    rack: undefined,
    capacity: undefined,
    metadata: {},
    maxConnections: 1000,
    connectionTimeoutMs: 5000,
    stateDir: "/nonexistent",
    baseDir: "/nonexistent",
    profiles: {},
    ...over,
  };
}
