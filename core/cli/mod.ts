/**
 * The command line: `runCli` takes arguments and the outside, and answers with
 * an exit code. It ends no process and reads no global state, so tests call it
 * as mod.ts does.
 *
 * A line goes: find the command, take its options apart, run it. Whatever is
 * thrown on the way is printed once, with what helps, and decides the code.
 * While a command runs, the first signal aborts it and the second gives up on
 * it, unless the command deals with signals itself.
 * @module
 */
import { MycnetError } from "../kernel/errors.ts";
import { didYouMean } from "../kernel/nearest.ts";
import type { Command } from "./command.ts";
import { builtInCommands } from "./commands/mod.ts";
import { exitCodes } from "./exit_codes.ts";
import { commandHelp, programHelp } from "./help.ts";
import type { CliIo } from "./io.ts";
import { Output } from "./output.ts";
import { parseLine } from "./parse.ts";
import type { CliRuntime } from "./runtime.ts";

export {
  type Command,
  type CommandContext,
  type CommandDefinition,
  defineCommand,
  type OptionSpec,
  type OptionSpecs,
  type OptionValues,
} from "./command.ts";
export { exitCodes } from "./exit_codes.ts";
export {
  type CliIo,
  type CliSignal,
  type CliWriter,
  denoIo,
  type RawOutput,
  safeWriter,
} from "./io.ts";
export { Output, printable, type Style } from "./output.ts";
export type { CliRuntime, RunningNode, StartOptions } from "./runtime.ts";

/** What mod.ts hands over: a runtime, and commands besides the built-in ones. */
export interface CliProgram extends CliRuntime {
  readonly commands?: readonly Command[];
}

/** Finds a command. @throws `usage` naming the nearest. */
function find(commands: readonly Command[], name: string): Command {
  const found = commands.find((it) => it.name === name);
  if (found !== undefined) return found;
  const what = name.startsWith("-") ? "option" : "command";
  const names = name.startsWith("-")
    ? ["--help", "--version", "-h", "-V"]
    : commands.map((it) => it.name);
  throw new MycnetError(
    "usage",
    `there is no ${what} ${JSON.stringify(name)}${didYouMean(name, names)}`,
  );
}

/** Runs a command that leaves signals to us. */
async function runInterruptible(
  command: Command,
  io: CliIo,
  run: (signal: AbortSignal) => Promise<number>,
): Promise<number> {
  const abort = new AbortController();
  if (command.handlesSignals) return await run(abort.signal);
  const impatient = Promise.withResolvers<number>();
  using _signals = io.onSignal((signal) => {
    if (abort.signal.aborted) impatient.resolve(exitCodes.interrupted);
    else abort.abort(new MycnetError("cancelled", `stopped by ${signal}`));
  });
  return await Promise.race([run(abort.signal), impatient.promise]);
}

/** Prints help for the program or one command. */
function help(
  commands: readonly Command[],
  topic: string | undefined,
  runtime: CliRuntime,
  out: Output,
): number {
  out.line(
    topic === undefined
      ? programHelp(commands, runtime.version, out)
      : commandHelp(find(commands, topic), out),
  );
  return exitCodes.ok;
}

/**
 * Runs one command line.
 * @param args the arguments after the program's name.
 * @returns the exit code; see {@linkcode exitCodes}. Never rejects.
 */
export async function runCli(
  args: readonly string[],
  io: CliIo,
  runtime: CliProgram,
): Promise<number> {
  const commands = [...builtInCommands, ...runtime.commands ?? []];
  // Known before parsing, so that even an error about the line comes in the form asked for.
  const out = new Output(io, args.includes("--json"));
  try {
    const [name, ...rest] = args;
    if (name === undefined) {
      out.note(programHelp(commands, runtime.version, out));
      return exitCodes.usage;
    }
    if (name === "--help" || name === "-h" || name === "help") {
      return help(commands, rest.find((it) => !it.startsWith("-")), runtime, out);
    }
    const command = find(commands, name === "--version" || name === "-V" ? "version" : name);
    const { options, positionals, help: helpWanted } = parseLine(command, rest);
    if (helpWanted) return help(commands, command.name, runtime, out);
    return await runInterruptible(
      command,
      io,
      (signal) => command.run({ io, out, runtime, options, positionals, signal }),
    );
  } catch (error) {
    return out.fail(error);
  }
}
