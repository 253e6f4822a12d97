/** What to say when listening fails. */
import { codeOf, MycnetError } from "../../kernel/errors.ts";

/** Turns a failure to listen into an error that names the address and what helps; others pass through. */
export function asListenError(error: unknown, address: string): unknown {
  const code = codeOf(error);
  if (error instanceof Deno.errors.AddrInUse || code === "EADDRINUSE") {
    return new MycnetError(
      "address_in_use",
      `${address} is in use: another process listens there. ` +
        `Set bindAddress to another port, or to port 0 for any free one`,
      { cause: error },
    );
  }
  if (
    error instanceof Deno.errors.AddrNotAvailable || code === "EADDRNOTAVAIL" ||
    code === "ENOTFOUND"
  ) {
    return new MycnetError(
      "address_invalid",
      `${address} is no address of this machine: set bindAddress to one of its own, ` +
        `or to 0.0.0.0 for all of them`,
      { cause: error },
    );
  }
  return error;
}
