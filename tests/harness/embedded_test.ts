import assert from "node:assert/strict";
import { embeddedFiles, isEmbedded } from "./embedded.ts";

const printed = `
Embedded Files

mycnet
├── .deno_compile_node_modules/localhost/zod/4.6.7/* (5.93MB - 5.86MB unique)
├─┬ core (3.2KB)
│ ├── contracts/* (1.1KB)
│ └─┬ kernel (2.1KB)
│   ├── host.ts (1KB)
│   └── plugin.ts (1.1KB)
├── mod.ts (596B)
└── plugins/transports/tls.ts (20B)

Files: 5.92MB
`;

Deno.test("the tree that deno compile prints is read, whole folders too", () => {
  const embedded = embeddedFiles(printed);
  assert.deepEqual(embedded, [
    ".deno_compile_node_modules/localhost/zod/4.6.7/*",
    "core/contracts/*",
    "core/kernel/host.ts",
    "core/kernel/plugin.ts",
    "mod.ts",
    "plugins/transports/tls.ts",
  ]);
  assert.ok(isEmbedded(embedded, "core/contracts/node.ts"));
  assert.ok(isEmbedded(embedded, "plugins/transports/tls.ts"));
  assert.ok(!isEmbedded(embedded, "plugins/transports/tcp.ts"));
  assert.ok(!isEmbedded(embedded, "core/kernel/kernel.ts"));
});
