/**
 * The demo's processes. A child ends when its standard input does, so it
 * cannot outlive its parent, whatever happened to that one. What it prints is
 * read line by line with a bound; what it complains about is kept, for the
 * error that is shown if it fails.
 */
import { TextLineStream } from "./lines.ts";
import { parseReport, type Report } from "./reports.ts";

/** How much of a child's standard error is kept, in characters. */
const maxComplaint = 8192;

/** One running child. */
export class Child {
  readonly #process: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reading: Promise<unknown>;
  #complaint = "";
  #ended = false;
  /** Resolves with the exit status once the process is gone and its output read. */
  readonly ended: Promise<Deno.CommandStatus>;

  private constructor(process: Deno.ChildProcess, heard: (report: Report) => void) {
    this.#process = process;
    this.#input = process.stdin.getWriter();
    this.#input.closed.catch(() => {}); // The child went first.
    this.#reading = Promise.allSettled([
      (async () => {
        for await (const line of process.stdout.pipeThrough(new TextLineStream())) {
          const report = parseReport(line);
          if (report !== undefined) heard(report);
        }
      })(),
      (async () => {
        for await (const line of process.stderr.pipeThrough(new TextLineStream())) {
          this.#complaint = (this.#complaint + line + "\n").slice(-maxComplaint);
        }
      })(),
    ]);
    this.ended = process.status.then(async (status) => {
      this.#ended = true;
      await this.#reading;
      await this.#input.abort().catch(() => {});
      return status;
    });
  }

  /** Starts one. `command` is the program and its arguments. */
  static start(command: readonly string[], heard: (report: Report) => void): Child {
    const [program, ...args] = command;
    const process = new Deno.Command(program, {
      args,
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    return new Child(process, heard);
  }

  /** Its process id. */
  get pid(): number {
    return this.#process.pid;
  }

  /** What it wrote to standard error, the end of it. */
  get complaint(): string {
    return this.#complaint.trim();
  }

  /** True until it is gone. */
  get running(): boolean {
    return !this.#ended;
  }

  /** kill -9. */
  kill(): void {
    try {
      this.#process.kill("SIGKILL");
    } catch {
      // It was gone already.
    }
  }

  /** Ends its standard input: it finishes what it does and exits. */
  async finish(): Promise<void> {
    await this.#input.close().catch(() => {});
  }
}
