/**
 * The command line as a program: arguments, exit code, and the runtime that
 * the commands work with. mod.ts loads it when it is run instead of imported.
 */
import type { BuiltIns } from "../kernel/declaration.ts";
import { createHost } from "../kernel/real_host.ts";
import { composeSchema } from "../kernel/json_schema.ts";
import type { Plugin } from "../kernel/plugin.ts";
import { createNodeWith } from "../node/create_node.ts";
import { coreBuiltIns } from "../node/config/declaration.ts";
import { settingsPlugin } from "../node/settings.ts";
import { runtimeVersion } from "../node/version.ts";
import { demoCommand } from "./demo/command.ts";
import { type CliProgram, denoIo, runCli } from "./mod.ts";
import { overlay } from "./overlay.ts";
import { permissionsOf } from "./permission_set.ts";

/** The JSON Schema of the whole `mycnet` key. */
async function schemaOf(builtIns: BuiltIns): Promise<Readonly<Record<string, unknown>>> {
  const table = { ...coreBuiltIns, ...builtIns };
  const plugins: Record<string, Plugin<unknown>> = {};
  for (const [name, load] of Object.entries(table)) plugins[name] = (await load()).default;
  const { properties } = settingsPlugin.schema() as { properties: Record<string, never> };
  const { node, profiles } = properties;
  return composeSchema({ settings: { node, profiles }, plugins });
}

/** The command line that runs this program again as a child of the demo. */
function demoProgram(entry: string): readonly string[] {
  if (Deno.build.standalone) return [Deno.execPath(), "demo"];
  return [
    Deno.execPath(),
    "run",
    "--quiet",
    "--no-prompt",
    "--allow-net=127.0.0.1",
    "--allow-env",
    "--allow-read",
    "--allow-write",
    "--allow-sys=hostname",
    "--unstable-net",
    entry,
    "demo",
  ];
}

/** What the commands work with. */
export function cliRuntime(builtIns: BuiltIns, entry: string): CliProgram {
  const host = createHost();
  return {
    version: runtimeVersion,
    host,
    startNode: async ({ config, node, cwd, log, ...over }) => {
      const started = await createNodeWith(builtIns, {
        cwd,
        log,
        adapt: overlay(over),
        ...(config === undefined ? {} : { config }),
        ...(node === undefined ? {} : { node }),
      });
      return started;
    },
    schema: () => schemaOf(builtIns),
    permissions: async (path) => ({ ...await permissionsOf(builtIns, path) }),
    commands: [
      demoCommand({
        createNode: (options) => createNodeWith(builtIns, options),
        program: () => demoProgram(entry),
      }),
    ],
  };
}

/** Runs the program's arguments and exits with their code. */
export async function main(builtIns: BuiltIns, entry: string): Promise<never> {
  const code = await runCli(Deno.args, denoIo(), cliRuntime(builtIns, entry));
  Deno.exit(code);
}
