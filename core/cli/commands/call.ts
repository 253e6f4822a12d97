/**
 * `mycnet call`: one call to a service, by way of a running node's gateway.
 */
import { parseDuration } from "../../kernel/duration.ts";
import { type ErrorCode, errorCodes, MycnetError } from "../../kernel/errors.ts";
import { AdminClient, adminOptions } from "../admin_client.ts";
import { type Command, type CommandContext, defineCommand } from "../command.ts";
import { exitCodes } from "../exit_codes.ts";
import type { CliIo } from "../io.ts";
import { keyValue } from "../parse.ts";
import { readEvents } from "../sse.ts";

const options = {
  ...adminOptions,
  target: { type: "string", value: "ID", description: "Call this node and no other." },
  timeout: {
    type: "string",
    short: "t",
    value: "2s",
    description: "For the whole call; of a stream, until its first item. Default 5s.",
  },
  meta: {
    type: "string",
    short: "m",
    multiple: true,
    value: "K=V",
    description: "Metadata that travels with the call. May be repeated.",
  },
  upload: {
    type: "boolean",
    description: "Send the JSON lines of standard input as the items of an upload.",
  },
} as const;

/** The most that is read from standard input, in bytes; the endpoint takes no more. */
const maxInputBytes = 1024 * 1024;
/** Without `--timeout`, in ms; as calls have it. */
const defaultTimeoutMs = 5000;
/** What a node is allowed beyond the call's own time before it counts as unreachable, in ms. */
const marginMs = 5000;

async function readStdin(io: CliIo): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for await (const chunk of io.stdin) {
    bytes += chunk.length;
    if (bytes > maxInputBytes) {
      throw new MycnetError("too_large", `standard input holds more than ${maxInputBytes} bytes`);
    }
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

function checkJson(text: string, what: string): string {
  try {
    JSON.parse(text);
    return text;
  } catch (error) {
    throw new MycnetError("usage", `${what} is not JSON: ${(error as Error).message}`);
  }
}

/** `key=text` and `key:=json` as an object. */
function fieldsInput(fields: readonly string[]): string {
  const entries = fields.map((field): [string, unknown] => {
    const [key, value] = keyValue(field, "input");
    if (!key.endsWith(":")) return [key, value];
    return [key.slice(0, -1), JSON.parse(checkJson(value, `input ${JSON.stringify(field)}`))];
  });
  return JSON.stringify(Object.fromEntries(entries));
}

/** The input as JSON text; empty for none. */
async function inputText(io: CliIo, given: readonly string[]): Promise<string> {
  if (given.length === 0) return "";
  if (given.length === 1 && given[0] === "-") {
    return checkJson(await readStdin(io), "standard input");
  }
  if (given.every((it) => /^[A-Za-z_][\w.-]*:?=/.test(it))) return fieldsInput(given);
  if (given.length > 1) {
    throw new MycnetError("usage", "the input is one JSON value, or key=value pairs, or - alone");
  }
  return checkJson(given[0], "the input");
}

function headersOf(context: CommandContext<typeof options>): Record<string, string> {
  const { target, timeout, meta } = context.options;
  const headers: Record<string, string> = { accept: "application/json, text/event-stream" };
  if (target !== undefined) headers["mycnet-node"] = target;
  if (timeout !== undefined) headers["mycnet-timeout"] = timeout;
  for (const pair of meta) {
    const [key, value] = keyValue(pair, "--meta");
    if (!/^[\w!#$%&'*+.^`|~-]+$/.test(key)) {
      throw new MycnetError("usage", `--meta ${JSON.stringify(pair)}: the key must be a word`);
    }
    headers[`mycnet-meta-${key}`] = encodeURIComponent(value);
  }
  return headers;
}

/** Prints each item on a line until the stream ends. */
async function printStream(
  { io, out, signal }: CommandContext<typeof options>,
  body: ReadableStream<Uint8Array>,
): Promise<number> {
  try {
    for await (const { name, data } of readEvents(body)) {
      if (name === "end") return exitCodes.ok;
      if (name === "error") throw streamError(data);
      if (name === "item") out.line(data);
      if (io.stdout.broken) return exitCodes.ok; // Nobody reads on, as with `| head`.
    }
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    throw error;
  }
  throw new MycnetError("link_lost", "the node cut the stream before its end");
}

function streamError(data: string): MycnetError {
  const { code, detail } = JSON.parse(data);
  const known = Object.hasOwn(errorCodes, code) ? code as ErrorCode : "internal";
  return new MycnetError(known, String(detail));
}

/** `mycnet call`. */
export const call: Command = defineCommand({
  name: "call",
  summary: "Call a method of a service and print the answer.",
  usage: [
    "call <service>/<method> [input] [options]",
    'call greeter/hello \'{"name": "Ada"}\'',
    "call greeter/hello name=Ada times:=3",
    "call greeter/hello - < input.json",
  ],
  details:
    "The input is JSON, or key=text and key:=json pairs, or - for standard input. A stream\n" +
    "prints one JSON value a line as they come; Ctrl-C cancels the call.",
  maxPositionals: 100,
  options,
  async run(context) {
    const { io, out, positionals: [path, ...given] } = context;
    const match = /^([^/]+)\/([^/]+)$/.exec(path ?? "");
    if (match === null) {
      throw new MycnetError("usage", "name the method: mycnet call <service>/<method>");
    }
    const { timeout, upload } = context.options;
    const timeoutMs = timeout === undefined ? defaultTimeoutMs : timeoutOf(timeout);
    const headers = headersOf(context);
    if (upload && given[0] === "-") {
      throw new MycnetError("usage", "standard input cannot be both the input and the upload");
    }
    const input = await inputText(io, given);
    const body = upload ? `${oneLine(input)}\n${await readStdin(io)}` : input;
    const client = await AdminClient.open(context);
    const response = await client.ask(
      `/services/${match.slice(1).map(encodeURIComponent).join("/")}`,
      {
        method: "POST",
        body,
        headers: {
          ...headers,
          "content-type": upload ? "application/x-ndjson" : "application/json",
        },
        limitMs: timeoutMs + marginMs,
      },
    );
    if (response.headers.get("content-type")?.startsWith("text/event-stream") && response.body) {
      return await printStream(context, response.body);
    }
    out.value(await response.json());
    return exitCodes.ok;
  },
});

/** JSON text on one line; `null` for none. */
function oneLine(text: string): string {
  return text === "" ? "null" : JSON.stringify(JSON.parse(text));
}

function timeoutOf(text: string): number {
  try {
    return parseDuration(/^\d+$/.test(text) ? Number(text) : text, "--timeout");
  } catch (error) {
    throw new MycnetError("usage", (error as Error).message);
  }
}
