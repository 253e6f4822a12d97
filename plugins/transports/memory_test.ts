import { transportConformance } from "../../tests/conformance/transport.ts";
import memory, { MemoryNetwork } from "./memory.ts";

transportConformance({
  name: "memory",
  plugin: memory,
  config: { network: new MemoryNetwork() },
  nobody: () => "nobody",
  listenAt: (address) => ({ address }),
});
