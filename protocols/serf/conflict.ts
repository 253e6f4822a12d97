/**
 * Two nodes with one name: the cluster votes which of them it knows.
 *
 * Everybody is asked which address it has for the name. Who has a majority of the
 * votes keeps the name; the other should leave without a word, since its leaving
 * would be taken for that of the namesake.
 */
import { formatAddress } from "../swim/address.ts";
import { internalPrefix } from "./answering.ts";
import type { SerfEvent, SerfQueryListener, SerfQueryRequest } from "./types.ts";
import { decodeConflictVote } from "./wire/decode.ts";
import { serfMessage } from "./wire/messages.ts";
import { encodeUtf8 } from "../utf8.ts";

/** The query about a name. */
export function conflictQuery(name: string): SerfQueryRequest {
  return { name: `${internalPrefix}conflict`, payload: encodeUtf8(name) };
}

/** Counts the votes for `address` and says at the end what came out. */
export function conflictVotes(
  address: string,
  done: (event: SerfEvent & { type: "conflict_resolved" }) => void,
): SerfQueryListener {
  let votes = 0;
  let forUs = 0;
  return {
    response(_from, payload) {
      if (payload[0] !== serfMessage.conflictResponse) return;
      try {
        const vote = decodeConflictVote(payload);
        votes++;
        if (vote !== undefined && formatVote(vote.ip, vote.port) === address) forUs++;
      } catch {
        // No vote.
      }
    },
    done() {
      const outcome = votes === 0 ? "undecided" : forUs > votes / 2 ? "kept" : "lost";
      done({ type: "conflict_resolved", outcome, votes, forUs });
    },
  };
}

function formatVote(ip: Uint8Array, port: number): string | undefined {
  return ip.length === 4 || ip.length === 16 ? formatAddress(ip, port) : undefined;
}
