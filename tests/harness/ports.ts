/** Ports for tests. */
import { freePorts } from "../../core/cli/demo/ports.ts";

/** A loopback port at which nobody listened a moment ago, and that no outgoing connection is given. */
export function freePort(): number {
  return freePorts(1, Math.random)[0];
}
