/** `mycnet version`. */
import { type Command, defineCommand } from "../command.ts";
import { exitCodes } from "../exit_codes.ts";

/** `mycnet version`, also `--version` and `-V`. */
export const version: Command = defineCommand({
  name: "version",
  summary: "Print the version.",
  usage: ["version [options]"],
  options: {},
  run({ out, runtime }) {
    const { os, arch } = Deno.build;
    if (out.json) out.value({ version: runtime.version, deno: Deno.version.deno, os, arch });
    else out.line(`mycnet ${runtime.version} (deno ${Deno.version.deno}, ${os} ${arch})`);
    return Promise.resolve(exitCodes.ok);
  },
});
