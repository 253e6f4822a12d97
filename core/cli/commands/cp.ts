/**
 * `mycnet cp`: a file or a folder to a node or from it, by way of a node that runs here.
 */
import { MycnetError } from "../../kernel/errors.ts";
import { AdminClient, adminOptions } from "../admin_client.ts";
import { type Command, defineCommand } from "../command.ts";
import { exitCodes } from "../exit_codes.ts";
import { printable } from "../output.ts";
import type { Copied, CopiedTree, Copying } from "./cp/copied.ts";
import { download } from "./cp/download.ts";
import { downloadTree, statOf } from "./cp/download_tree.ts";
import { type Copy, copyOf } from "./cp/places.ts";
import { ProgressLine } from "./cp/progress.ts";
import { reportTree, shownCopy } from "./cp/report.ts";
import { uploadFile, uploadStream } from "./cp/upload.ts";
import { uploadTree } from "./cp/upload_tree.ts";

const options = {
  ...adminOptions,
  recursive: {
    type: "boolean",
    short: "r",
    description: "Copy folders with all that is in them.",
  },
  retries: {
    type: "string",
    value: "N",
    description: "Attempts in a row, per file, that may get nowhere before it fails. Default 8.",
  },
} as const;

const defaultRetries = 8;

function retriesOf(text: string | undefined): number {
  if (text === undefined) return defaultRetries;
  if (/^\d{1,4}$/.test(text)) return Number(text);
  throw new MycnetError("usage", `--retries ${JSON.stringify(text)}: write a number up to 9999`);
}

async function run(
  copying: Copying & { readonly progress: ProgressLine },
  copy: Copy,
  stdin: () => ReadableStream<Uint8Array>,
  recursive: boolean,
): Promise<Copied | CopiedTree> {
  if (copy.kind === "download") {
    const { from, to, keep } = copy;
    if (recursive) {
      const { kind, mode } = await statOf(copying, from);
      if (kind === "folder") return await downloadTree(copying, from, to, keep, mode);
    }
    return await download(copying, from, to);
  }
  const { from, to, keep } = copy;
  if (from === undefined) return await uploadStream(copying, stdin(), to);
  // Without it the file itself is refused if it is a folder.
  if (recursive && (await Deno.stat(from).catch(() => undefined))?.isDirectory) {
    return await uploadTree(copying, from, to, keep);
  }
  return await uploadFile(copying, from, to);
}

/** `mycnet cp`. */
export const cp: Command = defineCommand({
  name: "cp",
  summary: "Copy files and folders to a node or from it.",
  usage: [
    "cp <file> <node>:<path> [options]",
    "cp - <node>:<path> [options]",
    "cp <node>:<path> <file> [options]",
    "cp -r <folder> <node>:<path> [options]",
    "cp -r <node>:<path> <folder> [options]",
  ],
  details:
    "The path begins in the folder that the other node declares with its plugin files. What is\n" +
    "interrupted goes on where it was, also when the command is given again; a file is in its place\n" +
    "only once it is whole and its SHA-256 is right.\n\n" +
    "A folder that is copied into one that is there keeps its name; else it gets the name that is\n" +
    "given. Files that are in place already with the same bytes are not copied again; symbolic links\n" +
    "are not followed. What cannot be copied does not stop the rest, and the exit code is then 1.",
  maxPositionals: 2,
  options,
  async run(context) {
    const { io, out, runtime: { host }, positionals, signal } = context;
    const { recursive } = context.options;
    const copy = copyOf(positionals, io.cwd, recursive);
    const retries = retriesOf(context.options.retries);
    const client = await AdminClient.open(context);
    const startMs = host.now();
    let copied: Copied | CopiedTree;
    {
      using progress = new ProgressLine(io, host, !out.json);
      const copying = { client, host, progress, retries, signal };
      copied = await run(copying, copy, () => io.stdin, recursive);
    }
    const seconds = (host.now() - startMs) / 1000;
    if ("files" in copied) return reportTree(out, positionals, copied, seconds);
    if (out.json) {
      out.value({ from: positionals[0], to: positionals[1], ...copied, seconds });
      return exitCodes.ok;
    }
    out.line(
      printable(`${positionals[0]} to ${positionals[1]}: `) +
        shownCopy(copied.bytes, copied.resumedAt, seconds),
    );
    return exitCodes.ok;
  },
});
