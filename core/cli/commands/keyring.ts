/** `mycnet keyring`: the keys of gossip, on every member at once. */
import type { KeyringReply } from "../../contracts/membership.ts";
import { MycnetError } from "../../kernel/errors.ts";
import { AdminClient, adminOptions } from "../admin_client.ts";
import { type Command, defineCommand } from "../command.ts";
import { exitCodes } from "../exit_codes.ts";
import { type Output, printable } from "../output.ts";

const path = "/api/v1/network/gossip/keyring";
const operations = ["list", "install", "use", "remove"] as const;

function show(reply: KeyringReply, operation: string, out: Output): void {
  const failures = Object.entries(reply.failures);
  if (operation === "list" && Object.keys(reply.keys).length > 0) {
    out.table(
      ["KEY", "MEMBERS", "IN USE"],
      Object.entries(reply.keys).map(([key, count]) => [
        key,
        `${count} of ${reply.members}`,
        reply.primaryKeys[key] === undefined ? "" : `by ${reply.primaryKeys[key]}`,
      ]),
    );
  }
  const silent = reply.members - reply.replies;
  out.note(
    `${reply.replies} of ${reply.members} members answered` +
      `${failures.length === 0 ? "" : `, ${failures.length} with a failure`}` +
      `${silent > 0 ? `; run it again when the other ${silent} can be reached` : ""}.`,
  );
  for (const [member, message] of failures) {
    out.note(`  ${printable(member)}: ${printable(message)}`);
  }
}

/** `mycnet keyring`. */
export const keyring: Command = defineCommand({
  name: "keyring",
  summary: "List, install, use or remove the keys that encrypt gossip.",
  usage: ["keyring list", "keyring install <key>", "keyring use <key>", "keyring remove <key>"],
  details:
    "A key is 16, 24 or 32 bytes in base64 (`openssl rand -base64 32`). To change it without an\n" +
    "interruption: install the new one, use it, remove the old one, each step once all members\n" +
    "have answered the step before. Exits with 1 unless every member did what was asked.",
  maxPositionals: 2,
  options: adminOptions,
  async run(context) {
    const { out, positionals: [operation = "list", key] } = context;
    if (!(operations as readonly string[]).includes(operation)) {
      throw new MycnetError("usage", `keyring ${operation}: say ${operations.join(", ")}`);
    }
    if (operation === "list" && key !== undefined) {
      throw new MycnetError("usage", "keyring list takes no key");
    }
    if (operation !== "list" && key === undefined) {
      throw new MycnetError("usage", `keyring ${operation}: name the key, in base64`);
    }
    const client = await AdminClient.open(context);
    const reply = operation === "list"
      ? await client.get<KeyringReply>(path)
      : await client.post<KeyringReply>(path, { operation, key });
    if (out.json) out.value(reply);
    else show(reply, operation, out);
    const complete = reply.replies === reply.members && Object.keys(reply.failures).length === 0;
    return complete ? exitCodes.ok : exitCodes.failed;
  },
});
