/** How a copy does, on one line of a terminal that is written over; nothing where nobody looks. */
import type { Host } from "../../../kernel/host.ts";
import type { CliIo } from "../../io.ts";
import type { Progress } from "./copied.ts";

const tickMs = 250;
/** How much of the rate shown is the last tick's. */
const weight = 0.2;

/** Bytes for people. */
export function shownBytes(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let at = 0;
  let value = bytes;
  while (value >= 1000 && at < units.length - 1) {
    value /= 1000;
    at++;
  }
  return at === 0
    ? `${value} B`
    : `${value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)} ${units[at]}`;
}

/** A time for people: `45s`, `3m05s`, `2h10m`. */
export function shownTime(seconds: number): string {
  const whole = Math.ceil(seconds);
  if (whole < 60) return `${whole}s`;
  const two = (value: number) => `${value}`.padStart(2, "0");
  if (whole < 3600) return `${Math.floor(whole / 60)}m${two(whole % 60)}s`;
  return `${Math.floor(whole / 3600)}h${two(Math.floor(whole / 60) % 60)}m`;
}

/** The line. */
export class ProgressLine implements Progress, Disposable {
  /** Bytes that were copied so far. */
  bytes = 0;
  /** All there are, once known; of a folder, all that is known of. */
  total: number | undefined;
  /** Of a folder, the files that were dealt with. */
  files: number | undefined;
  readonly #io: CliIo;
  readonly #host: Host;
  readonly #timer: Disposable | undefined;
  #note = "";
  #rate: number | undefined;
  #lastBytes: number | undefined;
  #lastMs: number;

  /** @param shown false where JSON is asked for. */
  constructor(io: CliIo, host: Host, shown: boolean) {
    this.#io = io;
    this.#host = host;
    this.#lastMs = host.now();
    this.#timer = shown && io.stderr.isTerminal
      ? host.every(tickMs, () => this.#tick())
      : undefined;
  }

  /** Says something in place of the figures until bytes move again. */
  note(text: string): void {
    this.#note = text;
    this.#lastBytes = undefined;
    if (this.#timer !== undefined) this.#write(text);
  }

  /** The line as it would be written now. */
  text(): string {
    if (this.#note !== "") return this.#note;
    const { bytes, total } = this;
    const rate = this.#rate;
    const parts = [shownBytes(bytes)];
    if (this.files !== undefined) {
      // How much there is turns out on the way, so there is no telling how much is left.
      parts.unshift(`${this.files} files`);
      parts[1] += ` of ${shownBytes(total ?? 0)} found`;
      if (rate !== undefined) parts.push(`${shownBytes(rate)}/s`);
      return parts.join("  ");
    }
    if (total !== undefined) {
      const percent = total === 0 ? 100 : Math.floor(bytes / total * 100);
      parts.unshift(`${percent}%`.padStart(4));
      parts[1] += ` of ${shownBytes(total)}`;
    }
    if (rate !== undefined) parts.push(`${shownBytes(rate)}/s`);
    if (rate !== undefined && rate > 0 && total !== undefined) {
      parts.push(`${shownTime((total - bytes) / rate)} left`);
    }
    return parts.join("  ");
  }

  /** Takes the line away. */
  [Symbol.dispose](): void {
    if (this.#timer === undefined) return;
    this.#timer[Symbol.dispose]();
    this.#write("");
  }

  #tick(): void {
    const now = this.#host.now();
    const seconds = (now - this.#lastMs) / 1000;
    const moved = this.bytes - (this.#lastBytes ?? this.bytes);
    if (this.#lastBytes !== undefined && seconds > 0) {
      const current = Math.max(0, moved) / seconds;
      this.#rate = this.#rate === undefined
        ? current
        : this.#rate * (1 - weight) + current * weight;
    }
    if (moved > 0) this.#note = "";
    this.#lastBytes = this.bytes;
    this.#lastMs = now;
    this.#write(this.text());
  }

  #write(text: string): void {
    this.#io.stderr.write(`\r\x1b[K${text}`);
  }
}
