import { freePort } from "../../tests/harness/ports.ts";
import { transportConformance } from "../../tests/conformance/transport.ts";
import tcp from "./tcp.ts";

transportConformance({
  name: "tcp",
  plugin: tcp,
  config: { insecure: true },
  nobody: () => `127.0.0.1:${freePort()}`,
  listenAt: (bindAddress) => ({ bindAddress }),
});
