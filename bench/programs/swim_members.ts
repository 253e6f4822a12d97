/**
 * Some members of a live cluster in one process: the machines and the driver of
 * the membership plugin on real sockets, and nothing above. Prints what each hears.
 */
import { GossipKeyring, swimPresets } from "@mycnet/protocols/swim";
import { createHost } from "../../core/kernel/mod.ts";
import { GossipDriver } from "../../plugins/membership/swim/driver.ts";
import type { LayerHandler } from "../../plugins/membership/swim/layer.ts";
import { PlainLayer } from "../../plugins/membership/swim/plain.ts";
import sockets from "../../plugins/transports/sockets.ts";
import { startPlugin } from "../../tests/harness/start_plugin.ts";
import { gcmCipher } from "../../plugins/membership/swim/cipher.ts";
import { programArgument, serveCommands } from "../lib/program.ts";
import type { MembersArgument } from "../lib/live_members.ts";

const { members, preset, seed } = programArgument<MembersArgument>();
const host = createHost();
const { value: system } = await startPlugin(sockets, { host });
const config = swimPresets[preset];
const say = (by: string, type: string, about: string) =>
  console.log(JSON.stringify({ by, type, about }));

const layers = await Promise.all(members.map(async ({ name, port }) => {
  const bound = await system.bind({ bindAddress: `127.0.0.1:${port}` });
  const driver = new GossipDriver({ host, port: bound, lagEveryMs: Math.max(50, config.lagMs) });
  const handler: LayerHandler = {
    packet: (to, bytes) => driver.packet(to, bytes),
    open: driver.open,
    member: (type, { name: about }) => {
      if (type === "joined" || type === "failed") say(name, type, about);
      if (type === "recovered") say(name, "joined", about);
    },
    answered() {},
    paused() {},
    incarnation() {},
    userEvent() {},
    query() {},
    keyring() {},
    conflict() {},
    refused() {},
    nameLost() {},
    admit: () => undefined,
  };
  const layer = new PlainLayer(
    {
      name,
      address: bound.address,
      config,
      incarnation: 1,
      tags: {},
      keyring: new GossipKeyring(gcmCipher((length) => host.randomBytes(length))),
      clocks: { member: 0, event: 0, query: 0 },
      random: () => host.random(),
      nowMs: host.now(),
    },
    handler,
  );
  driver.start(layer);
  return { driver, name };
}));
for (const { driver, name } of layers) {
  if (name === seed.name) continue;
  driver.command((layer, nowMs) =>
    layer.join([`127.0.0.1:${seed.port}`], nowMs, ({ contacted, errors }) => {
      if (contacted === 0) say(name, "alone", JSON.stringify(errors));
    })
  );
}
await serveCommands(members.length, {});
Deno.exit(0);
