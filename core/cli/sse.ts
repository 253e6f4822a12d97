/**
 * Reading server-sent events (WHATWG HTML, 9.2.6), as far as our own endpoint sends them.
 *
 * Each character is looked at once, however the bytes are cut: a line that is
 * not whole yet waits as the pieces it came in, and an event that is not whole
 * yet as the lines of it that matter. What waits is bounded.
 */
import { MycnetError } from "../kernel/errors.ts";

/** One event. */
export interface ServerEvent {
  /** `message` where it has no name. */
  readonly name: string;
  readonly data: string;
}

/** The longest event that is taken, in characters; more is no endpoint of ours. */
export const maxEventLength: number = 32 * 1024 * 1024;

/** What a line costs beside its characters, so that empty ones are not free. */
const lineCost = 16;

/** The event that is arriving. */
class Arriving {
  #name = "message";
  #data: string[] = [];
  #length = 0;

  /** Characters held, with the cost of each line. */
  get length(): number {
    return this.#length;
  }

  /** A whole line of it. */
  line(line: string): void {
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") this.#name = value;
    else if (field === "data") {
      this.#data.push(value);
      this.#length += value.length + lineCost;
    }
  }

  /** An empty line ends it; undefined if it carries no data. */
  take(): ServerEvent | undefined {
    const name = this.#name;
    const data = this.#data;
    this.#name = "message";
    this.#data = [];
    this.#length = 0;
    return data.length === 0 ? undefined : { name, data: data.join("\n") };
  }
}

/**
 * The events of a body, until it ends; an event that is torn off by the end is none.
 * @throws `too_large` for an event longer than {@linkcode maxEventLength}.
 */
export async function* readEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerEvent> {
  const decoder = new TextDecoder();
  const event = new Arriving();
  let pieces: string[] = [];
  let waiting = 0;
  for await (const chunk of body) {
    const lines = decoder.decode(chunk, { stream: true }).replaceAll("\r", "").split("\n");
    // What stands behind the last line break waits for its own.
    const rest = lines.pop()!;
    for (const end of lines) {
      const line = pieces.length === 0 ? end : pieces.join("") + end;
      pieces = [];
      waiting = 0;
      if (line !== "") {
        event.line(line);
        continue;
      }
      const whole = event.take();
      if (whole !== undefined) yield whole;
    }
    if (rest !== "") {
      pieces.push(rest);
      waiting += rest.length;
    }
    if (event.length + waiting > maxEventLength) {
      throw new MycnetError("too_large", "an event never ends");
    }
  }
}
