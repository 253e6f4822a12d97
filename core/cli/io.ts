/**
 * The outside of the command line: writers, input, environment, signals. All
 * commands go through it, so that tests can stand in for a terminal.
 */

/** A way out. Writing never throws: a pipe may break and a terminal close at any moment. */
export interface CliWriter {
  write(text: string): void;
  /** True when a person reads it. */
  readonly isTerminal: boolean;
  /** True once a write has failed; nothing more gets out. */
  readonly broken: boolean;
}

/** The signals that end a program. */
export type CliSignal = "SIGINT" | "SIGTERM" | "SIGHUP";

/** What the command line touches besides files and the network. */
export interface CliIo {
  readonly stdout: CliWriter;
  readonly stderr: CliWriter;
  /** Standard input; locked by whoever reads it. */
  readonly stdin: ReadableStream<Uint8Array>;
  /** An environment variable; undefined where there is none or it may not be read. */
  env(name: string): string | undefined;
  /** The working directory, absolute. */
  readonly cwd: string;
  /** Runs the handler at each signal until disposed. While a handler stands, signals do not end the process. */
  onSignal(handler: (signal: CliSignal) => void): Disposable;
}

/** A file descriptor as Deno wraps it. */
export interface RawOutput {
  writeSync(bytes: Uint8Array): number;
  isTerminal(): boolean;
}

/** A writer that swallows every failure and remembers it. */
export function safeWriter(output: RawOutput): CliWriter {
  const encoder = new TextEncoder();
  let broken = false;
  let isTerminal = false;
  try {
    isTerminal = output.isTerminal();
  } catch {
    // A closed descriptor is no terminal.
  }
  return {
    isTerminal,
    get broken() {
      return broken;
    },
    write(text) {
      if (broken) return;
      try {
        let bytes: Uint8Array = encoder.encode(text);
        while (bytes.length > 0) bytes = bytes.subarray(output.writeSync(bytes));
      } catch {
        broken = true;
      }
    },
  };
}

const signals: readonly CliSignal[] = ["SIGINT", "SIGTERM", "SIGHUP"];

/** The real outside. */
export function denoIo(): CliIo {
  return {
    stdout: safeWriter(Deno.stdout),
    stderr: safeWriter(Deno.stderr),
    get stdin() {
      return Deno.stdin.readable;
    },
    env(name) {
      try {
        return Deno.env.get(name);
      } catch {
        return undefined;
      }
    },
    get cwd() {
      return Deno.cwd();
    },
    onSignal(handler) {
      const undo: (() => void)[] = [];
      for (const signal of signals) {
        const listener = () => handler(signal);
        try {
          Deno.addSignalListener(signal, listener);
          undo.push(() => Deno.removeSignalListener(signal, listener));
        } catch {
          // Not every system has every signal.
        }
      }
      return {
        [Symbol.dispose]() {
          for (const remove of undo.splice(0)) remove();
        },
      };
    },
  };
}
