/**
 * The cluster's own queries, which every member answers by itself: is anybody
 * there, who has this name, and the four about gossip keys.
 *
 * Keys are installed, made primary and removed by broadcast, so whoever holds a
 * key can change all keys; without a key there is nothing to change, and a cluster
 * in plain text refuses. A key that is primary cannot be removed, and one that is
 * not installed cannot be used, so that no order of messages locks a member out
 * that answered each step.
 */
import { internalPrefix } from "./answering.ts";
import type { Context } from "./context.ts";
import type { Members } from "./members.ts";
import type { SerfQuery } from "./types.ts";
import { decodeKeyRequest } from "./wire/decode.ts";
import {
  encodeConflictVote,
  encodeKeyResponse,
  type KeyResponseMessage,
  serfMessage,
} from "./wire/messages.ts";
import { looseUtf8 } from "./wire/pack.ts";

const noKeys: KeyResponseMessage = { result: false, message: "", keys: [], primaryKey: "" };

/** Answers one of the cluster's own queries. */
export function answerInternal(context: Context, members: Members, query: SerfQuery): void {
  switch (query.name.slice(internalPrefix.length)) {
    case "ping":
      return; // The acknowledgement was all.
    case "conflict":
      return answerConflict(context, members, query);
    case "install-key":
      return changeKeys(context, query, "install");
    case "use-key":
      return changeKeys(context, query, "use");
    case "remove-key":
      return changeKeys(context, query, "remove");
    case "list-keys":
      return listKeys(context, query);
  }
  context.counters.unknown++;
}

function answerConflict(context: Context, members: Members, query: SerfQuery): void {
  const name = looseUtf8(query.payload.subarray(0, 255));
  if (name === context.name) return; // Whoever it is about has no vote.
  query.respond(encodeConflictVote(context.writer, members.get(name)), context.nowMs);
}

function changeKeys(
  context: Context,
  query: SerfQuery,
  operation: "install" | "use" | "remove",
): void {
  const message = change(context, query.payload, operation);
  const response = encodeKeyResponse(context.writer, {
    ...noKeys,
    result: message === undefined,
    message: message ?? "",
  });
  query.respond(response, context.nowMs);
}

/** Undefined, or why not. */
function change(
  context: Context,
  payload: Uint8Array,
  operation: "install" | "use" | "remove",
): string | undefined {
  const { keyring } = context;
  if (keyring === undefined || keyring.keys.length === 0) {
    return "gossip is not encrypted here: there is no keyring to change";
  }
  try {
    if (payload[0] !== serfMessage.keyRequest) return "the request carries no key";
    const key = decodeKeyRequest(payload);
    const before = keyring.keys;
    if (operation === "install") keyring.add(key);
    else if (operation === "use") {
      if (!keyring.use(key)) return "the key is not installed: install it first";
    } else {
      if (sameKey(before[0]!, key)) {
        return "the primary key cannot be removed: use another one first";
      }
      keyring.remove(key);
    }
    context.emit({ type: "keyring", operation, keys: keyring.keys });
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function listKeys(context: Context, query: SerfQuery): void {
  const { keyring, writer, nowMs } = context;
  if (keyring === undefined || keyring.keys.length === 0) {
    const message = "gossip is not encrypted here: there are no keys";
    query.respond(encodeKeyResponse(writer, { ...noKeys, message }), nowMs);
    return;
  }
  const keys = keyring.keys.map((key) => key.toBase64());
  const primaryKey = keys[0]!;
  // An answer has a largest size: list as many as it holds.
  for (let shown = keys.length; shown >= 0; shown--) {
    const message = shown < keys.length ? `the first ${shown} of ${keys.length} keys` : "";
    const response = { result: true, message, keys: keys.slice(0, shown), primaryKey };
    if (query.respond(encodeKeyResponse(writer, response), nowMs) !== "too_large") return;
  }
}

function sameKey(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
