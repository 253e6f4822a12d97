/**
 * Refusals: told to subscribers each time, to the log once.
 *
 * A misconfigured peer is refused at every retry, for days. The log gets one
 * line with cause and remedy for each address, code and reason, again when it
 * has been quiet for a while; a few reasons an address, since peers write them,
 * and no more than a few lines a minute in all, since strangers choose the
 * addresses from which they knock.
 */
import { linkRefused } from "../../contracts/peers.ts";
import { MycnetError } from "../../kernel/errors.ts";
import type { Host } from "../../kernel/host.ts";
import { hostOf } from "./address.ts";

/** Refusals that another try will not change: dialled again at the cap only. */
const permanent: ReadonlySet<string> = new Set([
  "cluster",
  "identity",
  "unauthenticated",
  "self",
  "node_type",
  "version",
  "profile",
  "wrong_node",
]);

/** What helps, by the code of the refusal. */
const remedies: Readonly<Record<string, string>> = {
  version: "Upgrade the older of the two nodes.",
  cluster: "Check mycnet.node.cluster on both nodes, and that the address is of this cluster.",
  identity: "Issue the peer's certificate anew: its name must match its configured id and type.",
  unauthenticated: "Give both nodes certificates of the same authority, valid now.",
  node_type: "Check the types of both nodes.",
  self: "Remove this node's own address from its seeds; nothing else is wrong.",
  wrong_node: "Another node answers at that address; correct the seed's id or address.",
  duplicate: "Two processes use one node id, or one restarted; stop the other, or wait a moment.",
  profile: "Make mycnet.profiles of both nodes agree.",
  transcript: "Something between the two nodes changes bytes; find out what.",
  full: "Raise mycnet.node.maxConnections there, or connect to fewer nodes.",
  shutting_down: "The peer is stopping; it is dialled again.",
  not_admitted: "The peer's policy says no; ask whoever runs it.",
  protocol: "What answers there does not speak this protocol; check the address.",
  timeout: "The handshake took too long; check the load of both nodes.",
};

/** Addresses with a code that are remembered, so that a reason is logged once. */
const maxRemembered = 200;
/** Different reasons of one address and code that are logged. */
const maxReasons = 8;
/** After so long a reason is logged again, in ms. */
const repeatAfterMs = 600_000;
/** Lines a minute in all. */
const maxLinesPerMinute = 30;

/** True for a refusal that another try will not change. */
export function isPermanent(code: string): boolean {
  return permanent.has(code);
}

/** A dial that was refused, with the code of the refusal. */
export class RefusedError extends MycnetError {
  /** Why, e.g. `"cluster"`. */
  readonly refusal: string;
  /** Who said no. */
  readonly by: "us" | "peer";

  /** Makes one. */
  constructor(refusal: string, message: string, by: "us" | "peer") {
    super("refused", message);
    this.refusal = refusal;
    this.by = by;
  }
}

/** The refusal in an error, if it is one. Tolerates errors of another copy of the runtime. */
export function refusalOf(error: unknown): string | undefined {
  const refusal = (error as { refusal?: unknown } | null | undefined)?.refusal;
  return typeof refusal === "string" ? refusal : undefined;
}

/** One refusal. */
export interface RefusalEvent {
  /** The address dialled, or that of an inbound connection. */
  readonly address: string;
  readonly direction: "dialled" | "accepted";
  readonly code: string;
  readonly message: string;
  readonly by: "us" | "peer";
}

/** Tells of refusals. */
export class RefusalLog {
  readonly #host: Host;
  /** When each reason was logged, by address and code. */
  readonly #logged = new Map<string, Map<string, number>>();
  #minute = -1;
  #lines = 0;

  /** Nothing remembered. */
  constructor(host: Host) {
    this.#host = host;
  }

  /** Emits it, and logs it if that is news. */
  tell(event: RefusalEvent): void {
    const { address, code, message, by, direction } = event;
    this.#host.emit(linkRefused, { address, code, message, by });
    const key = `${direction === "dialled" ? address : hostOf(address)} ${code}`;
    const now = this.#host.now();
    const reasons = this.#logged.get(key) ?? new Map<string, number>();
    for (const [reason, atMs] of reasons) if (now - atMs >= repeatAfterMs) reasons.delete(reason);
    if (reasons.has(message) || reasons.size >= maxReasons || !this.#mayLog(now)) return;
    reasons.set(message, now);
    this.#logged.delete(key);
    this.#logged.set(key, reasons);
    if (this.#logged.size > maxRemembered) {
      this.#logged.delete(this.#logged.keys().next().value!);
    }
    const remedy = remedies[code] ?? "The peer's own log may say more.";
    // A node that finds itself in the list of seeds that all nodes share is no trouble.
    const level = code === "self" ? "info" : "warn";
    this.#host.log[level]("A link was refused.", {
      address,
      direction,
      by,
      code,
      reason: message,
      remedy,
    });
  }

  /** A dial of this address worked: its next refusal is news again. */
  forget(address: string): void {
    if (this.#logged.size === 0) return;
    for (const key of this.#logged.keys()) {
      if (key.startsWith(`${address} `)) this.#logged.delete(key);
    }
  }

  #mayLog(nowMs: number): boolean {
    const minute = Math.floor(nowMs / 60_000);
    if (minute !== this.#minute) {
      this.#minute = minute;
      this.#lines = 0;
    }
    return this.#lines++ < maxLinesPerMinute;
  }
}
