/**
 * Files of other nodes, for whoever may use this node's admin endpoint.
 *
 * Questions go to the node that has the files; bytes to it are a transfer from here, bytes from it a
 * transfer that it sends back under a name made up for this one, which only that node may use.
 */
import type { Bulk, IncomingBulk } from "../../../core/contracts/bulk.ts";
import type { Messenger } from "../../../core/contracts/messenger.ts";
import { codeOf, MycnetError } from "../../../core/kernel/errors.ts";
import type { Host } from "../../../core/kernel/host.ts";
import {
  type Answer,
  getPrefix,
  putName,
  type Question,
  questionName,
  readAnswer,
  written,
} from "./protocol.ts";

/** How long a question may take: the other side may have to read a whole file, in ms. */
const questionMs = 10 * 60_000;
/** How long a node may take from promising a file to sending it, in ms. */
const startMs = 30_000;

/** What a client works with. */
export interface ClientSetup {
  readonly host: Host;
  readonly messenger: Messenger;
  readonly bulk: Bulk;
}

/** Asks other nodes. */
export class Client {
  readonly #setup: ClientSetup;

  constructor(setup: ClientSetup) {
    this.#setup = setup;
  }

  /** Asks a node. @throws `unhandled` where it serves no files. */
  async ask<Q extends Question>(
    node: string,
    question: Q,
    signal?: AbortSignal,
  ): Promise<Answer<Q["op"]>> {
    const options = { timeout: questionMs, ...(signal === undefined ? {} : { signal }) };
    let answer: Uint8Array;
    try {
      const { messenger } = this.#setup;
      answer = await messenger.request(node, questionName, written(question), options);
    } catch (error) {
      if (codeOf(error) !== "unhandled") throw error;
      throw new MycnetError("unhandled", `node "${node}" serves no files`, {
        cause: error,
        remedy: `Declare the plugin there: "files": { "root": "<a folder>", "write": true }.`,
      });
    }
    return readAnswer<Q["op"]>(question.op, answer);
  }

  /** Sends bytes of a transfer, from `offset` on, up to `end` where that is known. @throws `unavailable` if the node has another number of them. */
  async put(
    node: string,
    file: { readonly path: string; readonly transfer: string },
    body: ReadableStream<Uint8Array>,
    range: { readonly offset: number; readonly end: number | undefined },
    signal: AbortSignal,
  ): Promise<{ readonly bytes: number }> {
    const { bytes } = await this.#setup.bulk.send(node, putName, (offset) => {
      if (offset === range.offset) return body;
      throw new MycnetError(
        "unavailable",
        `node "${node}" has ${offset} bytes of it, and what came begins at ${range.offset}`,
      );
    }, {
      metadata: { path: file.path, transfer: file.transfer },
      signal,
      ...(range.end === undefined ? {} : { total: range.end }),
    });
    return { bytes };
  }

  /**
   * The bytes of a file from `offset` on. If they break off the stream ends before it has given
   * `bytes`: as the body of a response that announces them, it then cuts the connection.
   */
  async get(
    node: string,
    file: { readonly path: string; readonly version: string },
    offset: number,
    signal: AbortSignal,
  ): Promise<{ readonly body: ReadableStream<Uint8Array<ArrayBuffer>>; readonly bytes: number }> {
    const { host, bulk } = this.#setup;
    const reply = `${getPrefix}${host.id()}`;
    const begun = Promise.withResolvers<ReadableStream<Uint8Array<ArrayBuffer>>>();
    begun.promise.catch(() => {});
    const registration = bulk.handle(reply, (transfer) => {
      if (transfer.from.id !== node) {
        throw new MycnetError("permission_denied", `"${reply}" is for node "${node}" alone`);
      }
      registration[Symbol.dispose]();
      return passOn(transfer, begun.resolve);
    });
    const timer = host.after(startMs, () => {
      registration[Symbol.dispose]();
      begun.reject(new MycnetError("timeout", `node "${node}" promised a file and sent none`));
    });
    const aborted = () => begun.reject(signal.reason);
    signal.addEventListener("abort", aborted);
    try {
      const { bytes } = await this.ask(node, { op: "fetch", ...file, offset, reply }, signal);
      return { body: await begun.promise, bytes };
    } catch (error) {
      // The bytes may have begun before the answer got lost: nobody will read them.
      begun.promise.then((body) => body.cancel(), () => {});
      throw error;
    } finally {
      signal.removeEventListener("abort", aborted);
      timer[Symbol.dispose]();
      registration[Symbol.dispose]();
    }
  }
}

/** Hands the stream of a transfer over; the transfer lasts as long as somebody reads it. */
async function passOn(
  transfer: IncomingBulk,
  begun: (stream: ReadableStream<Uint8Array<ArrayBuffer>>) => void,
): Promise<void> {
  const reader = transfer.accept().getReader();
  const over = Promise.withResolvers<void>();
  begun(
    new ReadableStream({
      async pull(controller) {
        try {
          const { done, value } = await reader.read();
          if (!done) return controller.enqueue(value);
          controller.close();
          over.resolve();
        } catch (error) {
          controller.close();
          over.reject(error);
        }
      },
      async cancel(reason) {
        await reader.cancel(reason).catch(() => {});
        over.reject(new MycnetError("cancelled", "nobody reads on"));
      },
    }, { highWaterMark: 0 }),
  );
  await over.promise;
}
