/** Changing and listing the gossip keys of the whole cluster: one query, its answers added up. */
import { internalPrefix } from "./answering.ts";
import type { SerfKeyReply, SerfQueryListener, SerfQueryRequest } from "./types.ts";
import { decodeKeyResponse } from "./wire/decode.ts";
import { encodeKeyRequest, type KeyResponseMessage, serfMessage } from "./wire/messages.ts";
import { SerfWriter } from "./wire/pack.ts";

/** What can be done with gossip keys. */
export type KeyOperation = "list" | "install" | "use" | "remove";

const names: Readonly<Record<KeyOperation, string>> = {
  list: "list-keys",
  install: "install-key",
  use: "use-key",
  remove: "remove-key",
};

/** The query for an operation. */
export function keyQuery(operation: KeyOperation, key: Uint8Array): SerfQueryRequest {
  return {
    name: internalPrefix + names[operation],
    payload: encodeKeyRequest(new SerfWriter(), key),
  };
}

/** Adds up answers, and says at the end what came out. */
export function keyTally(done: (reply: SerfKeyReply) => void): SerfQueryListener {
  const failures: Record<string, string> = Object.create(null);
  const keys: Record<string, number> = Object.create(null);
  const primaryKeys: Record<string, number> = Object.create(null);
  let replies = 0;
  return {
    response(from, payload) {
      replies++;
      const response = read(payload);
      if (response === undefined) {
        failures[from] = "an answer that cannot be read";
        return;
      }
      if (!response.result) failures[from] = response.message || "refused without a reason";
      for (const key of new Set(response.keys)) keys[key] = (keys[key] ?? 0) + 1;
      const { primaryKey } = response;
      if (primaryKey !== "") primaryKeys[primaryKey] = (primaryKeys[primaryKey] ?? 0) + 1;
    },
    done({ expected }) {
      done({ members: Math.max(expected, replies), replies, failures, keys, primaryKeys });
    },
  };
}

function read(payload: Uint8Array): KeyResponseMessage | undefined {
  if (payload[0] !== serfMessage.keyResponse) return undefined;
  try {
    return decodeKeyResponse(payload);
  } catch {
    return undefined;
  }
}
