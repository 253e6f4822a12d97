/**
 * `mycnet cp`: one file to a node or from it, by way of a node that runs here.
 */
import { MycnetError } from "../../kernel/errors.ts";
import { AdminClient, adminOptions } from "../admin_client.ts";
import { type Command, defineCommand } from "../command.ts";
import { exitCodes } from "../exit_codes.ts";
import { printable } from "../output.ts";
import type { Copied, Copying } from "./cp/copied.ts";
import { download } from "./cp/download.ts";
import { type Copy, copyOf } from "./cp/places.ts";
import { ProgressLine, shownBytes, shownTime } from "./cp/progress.ts";
import { uploadFile, uploadStream } from "./cp/upload.ts";

const options = {
  ...adminOptions,
  retries: {
    type: "string",
    value: "N",
    description: "Attempts in a row that may get nowhere before it fails. Default 8.",
  },
} as const;

const defaultRetries = 8;

function retriesOf(text: string | undefined): number {
  if (text === undefined) return defaultRetries;
  if (/^\d{1,4}$/.test(text)) return Number(text);
  throw new MycnetError("usage", `--retries ${JSON.stringify(text)}: write a number up to 9999`);
}

function run(
  copying: Copying,
  copy: Copy,
  stdin: () => ReadableStream<Uint8Array>,
): Promise<Copied> {
  if (copy.kind === "download") return download(copying, copy.from, copy.to);
  return copy.from === undefined
    ? uploadStream(copying, stdin(), copy.to)
    : uploadFile(copying, copy.from, copy.to);
}

/** `mycnet cp`. */
export const cp: Command = defineCommand({
  name: "cp",
  summary: "Copy a file to a node or from it.",
  usage: [
    "cp <file> <node>:<path> [options]",
    "cp - <node>:<path> [options]",
    "cp <node>:<path> <file> [options]",
  ],
  details:
    "The path begins in the folder that the other node declares with its plugin files. What is\n" +
    "interrupted goes on where it was, also when the command is given again; a file is in its place\n" +
    "only once it is whole and its SHA-256 is right.",
  maxPositionals: 2,
  options,
  async run(context) {
    const { io, out, runtime: { host }, positionals, signal } = context;
    const copy = copyOf(positionals, io.cwd);
    const retries = retriesOf(context.options.retries);
    const client = await AdminClient.open(context);
    const startMs = host.now();
    let copied: Copied;
    {
      using progress = new ProgressLine(io, host, !out.json);
      copied = await run({ client, host, progress, retries, signal }, copy, () => io.stdin);
    }
    const seconds = (host.now() - startMs) / 1000;
    if (out.json) {
      out.value({ from: positionals[0], to: positionals[1], ...copied, seconds });
      return exitCodes.ok;
    }
    const moved = copied.bytes - copied.resumedAt;
    const rate = seconds > 0 ? ` (${shownBytes(moved / seconds)}/s)` : "";
    const resumed = copied.resumedAt > 0
      ? `, of which ${shownBytes(copied.resumedAt)} were there`
      : "";
    out.line(
      printable(`${positionals[0]} to ${positionals[1]}: `) +
        `${shownBytes(copied.bytes)} in ${shownTime(seconds)}${rate}${resumed}`,
    );
    return exitCodes.ok;
  },
});
