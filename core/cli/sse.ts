/** Reading server-sent events (WHATWG HTML, 9.2.6), as far as our own endpoint sends them. */
import { MycnetError } from "../kernel/errors.ts";

/** One event. */
export interface ServerEvent {
  /** `message` where it has no name. */
  readonly name: string;
  readonly data: string;
}

/** The longest event that is taken, in characters; more is no endpoint of ours. */
const maxEventLength = 32 * 1024 * 1024;

/** One block of lines; undefined if it carries no data. */
function parseEvent(block: string): ServerEvent | undefined {
  let name = "message";
  const data: string[] = [];
  for (const line of block.split("\n")) {
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") name = value;
    else if (field === "data") data.push(value);
  }
  return data.length === 0 ? undefined : { name, data: data.join("\n") };
}

/** The events of a body, until it ends. */
export async function* readEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerEvent> {
  let rest = "";
  const decoder = new TextDecoder();
  for await (const chunk of body) {
    rest += decoder.decode(chunk, { stream: true }).replaceAll("\r", "");
    const blocks = rest.split("\n\n");
    rest = blocks.pop()!;
    for (const block of blocks) {
      const event = parseEvent(block);
      if (event !== undefined) yield event;
    }
    if (rest.length > maxEventLength) throw new MycnetError("too_large", "an event never ends");
  }
}
