/**
 * A log for what strangers can cause as often as they like.
 *
 * Each sentence is written at most once in a while; how often it was left out in
 * between stands in the next line of its kind.
 */
import type { Host, LogFields, LogLevel } from "../../../core/kernel/host.ts";

/** The same sentence again after so long, in ms. */
const everyMs = 10_000;

/** See the head of this file. Its sentences are fixed ones, so their number is too. */
export class RareLog {
  readonly #host: Host;
  readonly #said = new Map<string, { atMs: number; left: number }>();

  constructor(host: Host) {
    this.#host = host;
  }

  /** Writes it, unless that was done a moment ago. */
  say(level: LogLevel, message: string, fields: LogFields): void {
    const now = this.#host.now();
    const before = this.#said.get(message);
    if (before !== undefined && now - before.atMs < everyMs) return void before.left++;
    this.#said.set(message, { atMs: now, left: 0 });
    const left = before?.left ?? 0;
    this.#host.log[level](message, left === 0 ? fields : { ...fields, leftOut: left });
  }
}
