import { transportConformance } from "../../tests/conformance/transport.ts";
import { testAuthority } from "../../tests/harness/authority.ts";
import { freePort } from "../../tests/harness/ports.ts";
import tls from "./tls.ts";

transportConformance({
  name: "tls",
  plugin: tls,
  needs: async (id) => ({ identity: await fixedIdentity(id) }),
  nobody: () => `127.0.0.1:${freePort()}`,
  listenAt: (bindAddress) => ({ bindAddress }),
});

/** An identity whose files are gone: its credentials are all that the transport needs. */
async function fixedIdentity(id: string) {
  const node = { id, type: "sclerotia" } as const;
  await using authority = await sharedAuthority(id);
  await using identity = await authority.identity(node);
  return {
    credentials: identity.value.credentials,
    onCredentials: () => ({ [Symbol.dispose]() {} }),
  };
}

function sharedAuthority(id: string) {
  return testAuthority({ nodes: [{ id, type: "sclerotia" }] });
}
