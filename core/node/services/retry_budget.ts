/**
 * How many more times a call may be tried.
 *
 * A call has what its caller allows. A call that is made while serving another
 * one also draws on what that one has left, which its other calls draw on too.
 * What is left goes along in the frame; whoever serves the call tells what its
 * own calls have used of it. So retries at several layers add up instead of
 * multiplying. (What is used below a link that breaks nobody tells.)
 */
import type { Ambient } from "./context.ts";

/** The most that the frame's field can say. */
const most = 255;

/** See the head of this file. */
export class RetryBudget {
  readonly #ambient: Ambient | undefined;
  #left: number;
  #sent = 0;

  /** @param retries what the caller allows, beyond the first attempt. */
  constructor(retries: number, ambient: Ambient | undefined) {
    this.#ambient = ambient;
    this.#left = ambient === undefined ? retries : Math.min(retries, ambient.retriesLeft);
  }

  /** Takes one retry, if there is one. */
  spend(): boolean {
    const ambient = this.#ambient;
    if (this.#left <= 0 || (ambient !== undefined && ambient.retriesLeft <= 0)) return false;
    this.#left--;
    if (ambient !== undefined) ambient.retriesLeft--;
    return true;
  }

  /** What goes along with an attempt. */
  send(): number {
    return this.#sent = Math.min(this.#left, this.#ambient?.retriesLeft ?? most, most);
  }

  /** The server says how much of what it was sent is left. */
  returned(left: number): void {
    const used = Math.max(0, this.#sent - left);
    this.#left = Math.max(0, this.#left - used);
    const ambient = this.#ambient;
    if (ambient !== undefined) ambient.retriesLeft = Math.max(0, ambient.retriesLeft - used);
  }
}
