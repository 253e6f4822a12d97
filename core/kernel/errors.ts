/**
 * Every error code of the runtime, in one table, each with what to do about it.
 *
 * Codes are stable; messages are not. Tell errors apart by `code`, never by
 * `instanceof`: a plugin may have loaded a second copy of the runtime.
 */

/** Codes and their remedies. A message says what happened here; the remedy says what helps. */
export const errorCodes = {
  // Declaration and kernel
  config_invalid: "Correct the named field; `mycnet schema` prints what is allowed.",
  config_unreadable: "Check that the file exists, is readable, and is JSON with comments.",
  plugin_unknown:
    "Use a built-in name, a relative path, an npm: or jsr: specifier, or pass the plugin by value.",
  plugin_invalid: "Export the result of definePlugin() as the module's default export.",
  plugin_missing: "Declare a plugin that provides the named capability.",
  plugin_ambiguous: "Switch off all but one of the named plugins.",
  plugin_cycle: "Break the cycle: make one of the needs live.",
  plugin_setup_failed: "See the cause; what ran before runs on.",
  plugin_setup_timeout:
    "The plugin's setup hangs; look at what it waits for, or raise setupTimeout.",
  plugin_stop_failed: "See the causes; everything else was stopped.",
  scope_ended: "The plugin has stopped; do not use its scope afterwards.",
  // Transports and links
  address_in_use: "Another process listens there; choose another port, or 0 for any free one.",
  address_invalid: "Write addresses as host:port, with brackets around IPv6 hosts.",
  unreachable: "Check that the node runs, its address, and the firewall in between.",
  timeout: "The other side did not answer in time; check its load, or allow more time.",
  refused: "The peer refused the link; the message says why.",
  unknown_peer: "No such node is known; check the id, or add a seed that knows it.",
  link_lost: "The link broke; repeat what is safe to repeat.",
  // Identity
  identity_missing:
    "Run `mycnet init` here, or set identity.insecure to true on a trusted machine.",
  identity_invalid: "Issue the certificate anew with `mycnet init`.",
  gossip_key_missing:
    "Run `mycnet init` here or bring the cluster's gossip.keyring; else set encryptKey, set insecure to true on a trusted network, or switch swim off.",
  node_running:
    "Stop the process that is named, or start this one as another node: `mycnet init --id`, then --id.",
  already_exists: "Choose another name or folder; nothing that exists is overwritten unasked.",
  // Messages and services
  aborted: "The caller's signal aborted.",
  cancelled: "The caller gave up.",
  deadline_exceeded: "Allow more time, or find out what is slow.",
  unavailable: "No healthy node serves this now; try again later.",
  overloaded: "Slow down, or wait for room instead of failing at once.",
  undelivered:
    "The node may be down or overloaded: send again later, or with reliability guaranteed.",
  not_found: "Check the name; `mycnet services` lists what there is.",
  unhandled: "The other node has no handler for this; check its version.",
  invalid_argument: "Correct the named field of the input.",
  answer_gone: "It ran. Ask what came of it, or raise maxResultBytes.",
  too_large: "Send less at once, or stream it.",
  corrupted: "What arrived is not what was sent; send it again.",
  too_deep: "Break the circle of services that call each other.",
  internal: "The serving node failed; its log has the details.",
  unauthenticated: "Present the token.",
  permission_denied: "This caller may not do that.",
  application: "The service declared this error; see its name and data.",
  no_quorum: "Too few nodes answered; see the replies.",
  duplicate_handler: "One handler a name; dispose of the first.",
  closed: "The node is stopping or has stopped.",
  // Admin and gateways
  method_not_allowed: "Use one of the methods that the Allow header names.",
  not_acceptable: "Ask for one of the media types that the message names.",
  unsupported_media_type: "Send the body as one of the media types that the message names.",
  host_refused: "Ask by a loopback name or address, or list the name under admin's allowedHosts.",
  // Command line
  usage: "`mycnet help` lists the commands, `mycnet help <command>` their options.",
  node_unreachable: "Start it with `mycnet node`, or name its endpoint with --admin.",
  node_ambiguous: "Say which one with --node.",
  // Simulation
  simulation_failed: "Repeat it with the seed that the message names.",
  simulation_diverged:
    "Something that the seed does not determine got in: real I/O, a first import(), a hash of addresses.",
  simulation_hung: "Nothing is left to happen; see what the named await waits for.",
  simulation_limit: "Look for a loop that never rests, or raise the named bound.",
  simulation_trap: "Ask the Host instead; the message names the call.",
} as const;

/** A stable error code. */
export type ErrorCode = keyof typeof errorCodes;

/** What an error may carry besides its message. */
export interface MycnetErrorOptions extends ErrorOptions {
  /** What helps here, where that is known better than by the code alone. */
  readonly remedy?: string;
}

/** An error with a stable code and a remedy. */
export class MycnetError extends Error {
  /** What kind of failure it is. */
  readonly code: ErrorCode;
  /** What helps. */
  readonly remedy: string;

  /** Makes one; the remedy comes from {@linkcode errorCodes} unless a better one is given. */
  constructor(code: ErrorCode, message: string, options?: MycnetErrorOptions) {
    super(message, options);
    this.name = "MycnetError";
    this.code = code;
    this.remedy = options?.remedy ?? errorCodes[code];
  }
}

/** The code of any error value, if it has one. */
export function codeOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null | undefined)?.code;
  return typeof code === "string" ? code : undefined;
}
