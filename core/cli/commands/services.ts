/** `mycnet services`: what the network offers. */
import type { MethodDescription, Services } from "../../contracts/services.ts";
import { AdminClient, adminOptions } from "../admin_client.ts";
import { type Command, defineCommand } from "../command.ts";
import { exitCodes } from "../exit_codes.ts";

function methodText({ name, kind, idempotent }: MethodDescription): string {
  return `${name}${kind === "unary" ? "" : ` (${kind})`}${idempotent ? "" : "!"}`;
}

/** `mycnet services`. */
export const services: Command = defineCommand({
  name: "services",
  summary: "List the services of the network, and who serves them.",
  usage: ["services [name] [options]"],
  details:
    "With a name: its methods with their JSON Schemas. A method with an exclamation mark is\n" +
    "not idempotent: a call that may have run is not repeated.",
  maxPositionals: 1,
  options: adminOptions,
  async run(context) {
    const { out, positionals: [name] } = context;
    const client = await AdminClient.open(context);
    if (name !== undefined) {
      out.value(await client.get(`/services/${encodeURIComponent(name)}`));
      return exitCodes.ok;
    }
    type Found = { readonly services: ReturnType<Services["list"]> };
    const found = await client.get<Found>("/api/v1/services");
    if (out.json) out.value(found);
    else if (found.services.length === 0) out.note("No node offers a service.");
    else {
      out.table(
        ["SERVICE", "VERSION", "NODES", "METHODS"],
        found.services.map(({ service, nodes }) => [
          service.name,
          `${service.version}`,
          nodes.join(", "),
          service.methods.map(methodText).join(", "),
        ]),
      );
    }
    return exitCodes.ok;
  },
});
