/** Services to put into directories, signatures that only one node can make, and rows of nodes. */
import { createHash } from "node:crypto";
import { z } from "zod";
import { messageTypes } from "@mycnet/protocols/frame";
import type { FakeNetwork, FakeNode, FakeTrust } from "./fakes_test.ts";
import { defineService } from "./mod.ts";

export const directoryType = messageTypes["service.directory"];

export function service(name: string, version = 1) {
  return defineService(name, {
    version,
    methods: {
      get: { input: z.object({ key: z.string() }), output: z.number(), idempotent: true },
    },
  });
}

export function serve(node: FakeNode, name: string, version = 1): AsyncDisposable {
  return node.layer.serve(service(name, version), { get: () => 1 });
}

/** Who offers what, as one node sees it. */
export function view(node: FakeNode): Record<string, string[]> {
  return Object.fromEntries(
    node.layer.list().map(({ service, nodes }) => [service.name, [...nodes]]),
  );
}

/** A signature that only the named node could have made, as far as these tests go. */
export const signed: FakeTrust = (self) => {
  const seal = (id: string, bytes: Uint8Array) =>
    new Uint8Array(createHash("sha256").update(`${id}:`).update(bytes).digest());
  return {
    sign: (bytes) => ({
      signature: seal(self.id, bytes),
      chain: [new TextEncoder().encode(`${self.cluster}/${self.id}`)],
    }),
    verify: (bytes, { signature, chain }) => {
      const [cluster, id] = new TextDecoder().decode(chain[0]).split("/");
      const good = seal(id, bytes).every((byte, i) => byte === signature[i]);
      return good
        ? { ok: true, principal: { cluster, id, type: "sclerotia" } }
        : { ok: false, reason: "the signature does not fit" };
    },
  };
};

export function chainOf(network: FakeNetwork, ids: string[], trust?: FakeTrust): FakeNode[] {
  const nodes = ids.map((id) => network.add(id, { trust }));
  for (let i = 1; i < ids.length; i++) network.link(ids[i - 1], ids[i]);
  return nodes;
}
