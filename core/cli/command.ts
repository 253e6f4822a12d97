/**
 * What a command is: a name, its options as data, and `run`. Help, parsing and
 * the errors about both are made from the data, for all commands alike.
 */
import type { CliIo } from "./io.ts";
import type { Output } from "./output.ts";
import type { CliRuntime } from "./runtime.ts";

export { exitCodes } from "./exit_codes.ts";

/** One option, in the terms of node:util's parseArgs, with what help says of it. */
export interface OptionSpec {
  readonly type: "string" | "boolean";
  /** One letter. */
  readonly short?: string;
  /** May be given several times. */
  readonly multiple?: boolean;
  /** What stands for the value in help, e.g. `"URL"`. */
  readonly value?: string;
  readonly description: string;
}

/** Options by their long names. */
export type OptionSpecs = Readonly<Record<string, OptionSpec>>;

/** What was given for an option. */
type OptionValue<S extends OptionSpec> = S["type"] extends "boolean" ? boolean
  : S["multiple"] extends true ? readonly string[]
  : string | undefined;

/** What was given for all options; those not given are false, empty or undefined. */
export type OptionValues<O extends OptionSpecs> = { readonly [K in keyof O]: OptionValue<O[K]> };

/** What a command works with. */
export interface CommandContext<O extends OptionSpecs = OptionSpecs> {
  readonly io: CliIo;
  readonly out: Output;
  readonly runtime: CliRuntime;
  readonly options: OptionValues<O>;
  /** What stands on the line besides options. */
  readonly positionals: readonly string[];
  /** Aborts at the first signal, with code `cancelled`; never for a command that handles signals itself. */
  readonly signal: AbortSignal;
}

/** One command, its option types checked by {@linkcode defineCommand} and then erased. */
export interface Command {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** Lines of usage without the program's name, e.g. `"call <service>/<method> [input]"`. */
  readonly usage: readonly string[];
  /** Paragraphs for the command's own help. */
  readonly details?: string;
  /** How many positionals it takes at most. Default 0. */
  readonly maxPositionals?: number;
  readonly options: OptionSpecs;
  /** True: it deals with signals itself. Default false. */
  readonly handlesSignals?: boolean;
  /** Does it; the answer is the exit code. An error thrown is printed with its remedy. */
  run(context: CommandContext): Promise<number>;
}

/** A command with the types of its options. */
export interface CommandDefinition<O extends OptionSpecs> extends Omit<Command, "options" | "run"> {
  readonly options: O;
  run(context: CommandContext<O>): Promise<number>;
}

/** Defines a command, checking that `run` reads its options by the right names and types. */
export function defineCommand<const O extends OptionSpecs>(
  definition: CommandDefinition<O>,
): Command {
  // The parser fills `options` from the very specs that O is made of.
  return definition as unknown as Command;
}
