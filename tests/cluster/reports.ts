/** What a plugin under test writes into its node's log again and again, read back as what it was written from. */
import { type LogLine, logLines, type RunningProcess } from "./cluster.ts";

/** Reports of one kind: log lines of one message, each with its wall-clock time in ms as `at`. */
export class Reports<T extends { readonly at: number }> {
  readonly #message: string;

  /** Of what `host.log.info(message, {...})` is given a `T` for. */
  constructor(message: string) {
    this.#message = message;
  }

  /** All of a node so far, later than `since`. */
  all(node: RunningProcess, since: number = 0): T[] {
    return logLines(node).flatMap((line) => this.#read(line, since) ?? []);
  }

  /** Waits for one of a node, later than `since`, for which `match` returns something. */
  next<R>(
    node: RunningProcess,
    what: string,
    since: number,
    match: (report: T) => R | undefined,
  ): Promise<R> {
    return node.child.log(`${what} at ${node.id}`, (line) => {
      const report = this.#read(line, since);
      return report === undefined ? undefined : match(report);
    });
  }

  #read(line: LogLine, since: number): T | undefined {
    if (line.message !== this.#message || Number(line.at) < since) return undefined;
    // A cast, since the line is what the plugin beside this file was given, made into JSON and back.
    return line as object as T;
  }
}
