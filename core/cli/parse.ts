/** From arguments to options and positionals, with errors that name what was meant. */
import { parseArgs } from "node:util";
import { MycnetError } from "../kernel/errors.ts";
import { didYouMean } from "../kernel/nearest.ts";
import type { Command, OptionSpec, OptionSpecs, OptionValues } from "./command.ts";

/** Options that every command takes. */
export const commonOptions = {
  json: { type: "boolean", description: "Print JSON, errors included." },
  help: { type: "boolean", short: "h", description: "Show this help." },
} as const satisfies OptionSpecs;

/** A line taken apart. */
export interface ParsedLine {
  readonly options: OptionValues<OptionSpecs>;
  readonly positionals: readonly string[];
  readonly help: boolean;
}

/** The options of a command with the common ones. */
export function allOptions(command: Command): OptionSpecs {
  return { ...command.options, ...commonOptions };
}

function usage(message: string): MycnetError {
  return new MycnetError("usage", message);
}

/** `--name` as the user wrote it. */
function checkToken(
  token: { readonly name: string; readonly rawName: string; readonly value?: string },
  specs: OptionSpecs,
): OptionSpec {
  const spec = Object.hasOwn(specs, token.name) ? specs[token.name] : undefined;
  if (spec === undefined) {
    const hint = didYouMean(token.name, Object.keys(specs).map((it) => it));
    throw usage(`there is no option ${token.rawName}${hint.replace(/"(.+)"/, '"--$1"')}`);
  }
  if (spec.type === "boolean" && token.value !== undefined) {
    throw usage(`--${token.name} takes no value`);
  }
  if (spec.type === "string" && token.value === undefined) {
    throw usage(`--${token.name} needs a value: --${token.name} <${spec.value ?? "value"}>`);
  }
  return spec;
}

/**
 * Takes the arguments after the command's name apart.
 * @throws `usage`.
 */
export function parseLine(command: Command, args: readonly string[]): ParsedLine {
  const specs = allOptions(command);
  const { tokens, positionals } = parseArgs({
    args: [...args],
    options: Object.fromEntries(
      Object.entries(specs).map(([name, { type, short }]) => [
        name,
        { type, multiple: true, ...(short === undefined ? {} : { short }) },
      ]),
    ),
    strict: false, // Our own errors below name the nearest option.
    allowPositionals: true,
    tokens: true,
  });
  const values: Record<string, boolean | string | string[] | undefined> = {};
  for (const [name, { type, multiple }] of Object.entries(specs)) {
    values[name] = type === "boolean" ? false : multiple ? [] : undefined;
  }
  for (const token of tokens) {
    if (token.kind !== "option") continue;
    const { type, multiple } = checkToken(token, specs);
    if (type === "boolean") values[token.name] = true;
    else if (multiple) (values[token.name] as string[]).push(token.value!);
    else if (values[token.name] !== undefined) throw usage(`--${token.name} was given twice`);
    else values[token.name] = token.value;
  }
  const most = command.maxPositionals ?? 0;
  if (positionals.length > most && values.help !== true) {
    throw usage(`${command.name} does not take ${JSON.stringify(positionals[most])}`);
  }
  return {
    options: values as OptionValues<OptionSpecs>,
    positionals,
    help: values.help === true,
  };
}

/** Reads `key=value`. @throws `usage` naming the option. */
export function keyValue(text: string, option: string): readonly [string, string] {
  const at = text.indexOf("=");
  if (at < 1) throw usage(`${option} ${JSON.stringify(text)}: write key=value`);
  return [text.slice(0, at), text.slice(at + 1)];
}
