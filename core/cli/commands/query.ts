/** `mycnet query`: a question to every member, and the answers as they come. */
import { type ErrorCode, errorCodes, MycnetError } from "../../kernel/errors.ts";
import { AdminClient, adminOptions } from "../admin_client.ts";
import { type Command, type CommandContext, defineCommand } from "../command.ts";
import { exitCodes } from "../exit_codes.ts";
import { printable } from "../output.ts";
import { keyValue } from "../parse.ts";
import { readEvents } from "../sse.ts";

const specs = {
  ...adminOptions,
  to: {
    type: "string",
    multiple: true,
    value: "ID",
    description: "Ask this member only. May be repeated.",
  },
  tag: {
    type: "string",
    multiple: true,
    value: "K=REGEXP",
    description: "Ask members whose tag matches. May be repeated.",
  },
  ack: { type: "boolean", description: "Ask for acknowledgements too." },
  timeout: {
    type: "string",
    short: "t",
    value: "5s",
    description: "How long to wait for answers. Default: by the size of the cluster.",
  },
} as const;

/** One reply, as the endpoint sends it. */
interface Reply {
  readonly kind: "ack" | "response";
  readonly from: string;
  readonly payload?: string;
  readonly payloadBase64?: string;
}

function bodyOf({ options, positionals }: CommandContext<typeof specs>): Record<string, unknown> {
  const [name, payload = ""] = positionals;
  if (name === undefined) throw new MycnetError("usage", "name the query: mycnet query <name>");
  const { to, tag, ack, timeout } = options;
  return {
    name,
    payload,
    ack,
    ...(to.length === 0 ? {} : { nodes: to }),
    ...(tag.length === 0
      ? {}
      : { tags: Object.fromEntries(tag.map((it) => keyValue(it, "--tag"))) }),
    ...(timeout === undefined ? {} : { timeout }),
  };
}

function failure(data: string): MycnetError {
  const { code, detail } = JSON.parse(data);
  return new MycnetError(
    Object.hasOwn(errorCodes, code) ? code as ErrorCode : "internal",
    String(detail),
  );
}

/** `mycnet query`. */
export const query: Command = defineCommand({
  name: "query",
  summary: "Ask every member of the cluster, and print the answers as they come.",
  usage: ["query <name> [payload] [options]"],
  details: "Exits with 1 when nobody answered in time.",
  maxPositionals: 2,
  options: specs,
  async run(context) {
    const { io, out, signal } = context;
    const body = bodyOf(context);
    const client = await AdminClient.open(context);
    const response = await client.ask("/api/v1/network/gossip/query", {
      method: "POST",
      body: JSON.stringify(body),
      headers: { accept: "text/event-stream", "content-type": "application/json" },
    });
    let responses = 0, acks = 0;
    try {
      for await (const { name, data } of readEvents(response.body!)) {
        if (name === "error") throw failure(data);
        if (name === "end") break;
        if (name !== "item") continue;
        const reply = JSON.parse(data) as Reply;
        if (reply.kind === "ack") acks++;
        else responses++;
        if (out.json) out.line(data);
        else if (reply.kind === "ack") out.line(`${printable(reply.from)} has received it`);
        else {
          const text = reply.payload ?? `base64 ${reply.payloadBase64}`;
          out.line(`${printable(reply.from)}: ${printable(text)}`);
        }
        if (io.stdout.broken) return exitCodes.ok; // Nobody reads on, as with `| head`.
      }
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      throw error;
    }
    if (!out.json) {
      out.note(`${responses} responses${body.ack ? `, ${acks} acknowledgements` : ""}.`);
    }
    return responses + acks > 0 ? exitCodes.ok : exitCodes.failed;
  },
});
