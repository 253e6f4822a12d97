/**
 * Files between nodes: what `mycnet cp` goes through.
 *
 * Every node that has it can copy to and from others for its own operator, by routes of the admin
 * endpoint. Other nodes get at files here only where a folder is declared:
 *
 *     "files": { "root": "shared", "write": true, "allow": { "types": ["sclerotia"] } }
 *
 * Then whoever is allowed (default: every node of the cluster, which mutual TLS knows) may read
 * below that folder and, with `write`, put files there. See files/protocol.ts for what is said,
 * files/folder.ts for what keeps it inside.
 */
import { resolve } from "node:path";
import { z } from "zod";
import { adminRoutes } from "../../core/contracts/admin.ts";
import { bulk } from "../../core/contracts/bulk.ts";
import { messenger } from "../../core/contracts/messenger.ts";
import { settings } from "../../core/contracts/settings.ts";
import { duration } from "../../core/kernel/config.ts";
import { definePlugin } from "../../core/kernel/define_plugin.ts";
import { MycnetError } from "../../core/kernel/errors.ts";
import { type Capability, capability, type Plugin } from "../../core/kernel/plugin.ts";
import { nodeTypes, type Principal } from "@mycnet/protocols/identity";
import { Client } from "./files/client.ts";
import { Folder } from "./files/folder.ts";
import { Listing } from "./files/listing.ts";
import { Making } from "./files/making.ts";
import {
  type Had,
  type HaveQuestion,
  putName,
  type Question,
  questionName,
  readQuestion,
  written,
} from "./files/protocol.ts";
import { Receiver } from "./files/receiver.ts";
import { FileRoutes } from "./files/routes.ts";
import { Sender } from "./files/sender.ts";

/** What the plugin provides: the folder that it serves, if any. */
export interface Files {
  /** Absolute; undefined: none. */
  readonly root: string | undefined;
}

/** The capability token of {@linkcode Files}. */
export const files: Capability<Files> = capability("files");

const config = z.strictObject({
  root: z.string().min(1).optional()
    .describe("The folder whose files other nodes get at. Without it, none do."),
  read: z.boolean().default(true).describe("Whether files may be read from it."),
  write: z.boolean().default(false).describe("Whether files may be put into it."),
  maxBytes: z.int().min(0).default(64 * 1024 ** 3)
    .describe("The largest file that is taken, in bytes."),
  allow: z.strictObject({
    types: z.array(z.enum(nodeTypes as ["sclerotia", "rhizomorph", "hyphae"])).optional()
      .describe("Types of nodes that may. Default: all."),
    nodes: z.array(z.string().min(1)).max(1000).optional()
      .describe("Ids of nodes that may. Default: all."),
  }).prefault({}),
  partTtl: duration("24h", { minMs: 1000 })
    .describe("How long what has arrived of an unfinished transfer is kept."),
});

/** Questions at once: each may hold a file open and read all of it. */
const maxQuestions = 128;

/** Questions that write. */
const writes: ReadonlySet<Question["op"]> = new Set(["have", "commit", "make", "finish"]);

type Config = z.output<typeof config>;

/** @throws `permission_denied`. */
function checkAllowed(
  { id, type }: Principal,
  { allow, read, write }: Config,
  writes: boolean,
): void {
  const named = (allow.types?.includes(type) ?? true) && (allow.nodes?.includes(id) ?? true);
  if (!named) {
    throw new MycnetError("permission_denied", `"allow" does not name node "${id}", a ${type}`);
  }
  if (writes ? write : read) return;
  throw new MycnetError(
    "permission_denied",
    writes
      ? `files are not taken here: "write" of the plugin files is not set`
      : `files are not given from here: "read" of the plugin files is switched off`,
  );
}

const plugin: Plugin<Files> = definePlugin({
  name: "files",
  summary: "Copies files between nodes; serves a folder to them where one is declared.",
  provides: files,
  needs: { settings, messenger, bulk },
  config,
  permissions: ({ root, write }) =>
    root === undefined ? {} : { read: [root], ...(write ? { write: [root] } : {}) },
  async setup(scope): Promise<Files> {
    const { config, host, needs, signal } = scope;
    const { messenger, bulk } = needs;
    const client = new Client({ host, messenger, bulk });
    scope.contribute(adminRoutes, new FileRoutes(host, client, signal));
    if (config.root === undefined) return { root: undefined };

    const folder = await Folder.open(resolve(needs.settings.baseDir, config.root));
    const { maxBytes, partTtl } = config;
    const receiver = new Receiver({ host, folder, maxBytes, partTtlMs: partTtl });
    const sender = new Sender({ host, folder, bulk, signal });
    const making = new Making(folder);
    const listing = new Listing(folder);
    const have = async (question: HaveQuestion): Promise<Had> => {
      const { bytes, ...more } = await receiver.have(question);
      // What is in place is for those to know who may read it.
      return config.read ? { bytes, ...more } : { bytes };
    };
    const answer = (question: Question, from: Principal): Promise<object | void> => {
      switch (question.op) {
        case "have":
          return have(question);
        case "commit":
          return receiver.commit(question);
        case "make":
          return making.make(question);
        case "finish":
          return making.finish(question);
        case "stat":
          return sender.stat(question);
        case "list":
          return listing.list(question, from.id);
        case "fetch":
          return sender.fetch(question, from.id);
        case "digest":
          return sender.digest(question);
      }
    };
    let underWay = 0;
    scope.own(messenger.handle(questionName, async (bytes, { from }) => {
      const question = readQuestion(bytes);
      checkAllowed(from, config, writes.has(question.op));
      if (underWay >= maxQuestions) {
        throw new MycnetError("overloaded", `${maxQuestions} questions about files wait already`);
      }
      underWay++;
      try {
        return written(await answer(question, from) ?? {});
      } finally {
        underWay--;
      }
    }));
    scope.own(bulk.handle(putName, async (transfer) => {
      checkAllowed(transfer.from, config, true);
      await receiver.put(transfer);
    }));
    return { root: folder.root };
  },
});

export default plugin;
