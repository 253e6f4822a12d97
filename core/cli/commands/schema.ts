/** `mycnet schema`: what may be declared, and what a node must be granted. */
import { type Command, defineCommand } from "../command.ts";
import { exitCodes } from "../exit_codes.ts";
import { configOf } from "../state_folder.ts";

/** `mycnet schema`. */
export const schema: Command = defineCommand({
  name: "schema",
  summary: "Print the JSON Schema of the mycnet key, or the permissions a node needs.",
  usage: ["schema [options]", "schema --permissions [options]"],
  details:
    "The permissions are an entry for `permissions` in your deno.json: what a node with the\n" +
    "configuration at hand touches, and nothing more.",
  options: {
    permissions: { type: "boolean", description: "Print permissions in place of the schema." },
    config: { type: "string", short: "c", value: "FILE", description: "The configuration file." },
  },
  async run({ io, out, runtime, options }) {
    if (options.permissions) {
      const file = await configOf(io, options.config);
      out.value(await runtime.permissions(file?.path));
    } else out.value(await runtime.schema());
    return exitCodes.ok;
  },
});
