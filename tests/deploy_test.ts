// examples/deploy as it stands: what the Dockerfile and the unit run is run here,
// in a temporary folder in place of the machine's own.
import assert from "node:assert/strict";
import { adminPlugin } from "../core/admin/plugin.ts";
import { clusterTest } from "./harness/leaks.ts";
import {
  nodeArguments,
  rootPath,
  startDeno,
  started,
  startMycnet,
  taskPermissions,
  tempFolder,
} from "./harness/processes.ts";

const deploy = `${rootPath}examples/deploy/`;
const dockerfile = Deno.readTextFileSync(`${deploy}Dockerfile`).replaceAll("\\\n", " ");
const unit = Deno.readTextFileSync(`${deploy}mycnet.service`);

/** The arguments of an instruction of the final stage that is written as JSON. */
function instruction(name: string): string[] {
  const final = dockerfile.slice(dockerfile.lastIndexOf("\nFROM "));
  const match = new RegExp(`^${name}\\b[^[]*(\\[.*\\])\\s*$`, "m").exec(final);
  assert.ok(match, `the Dockerfile has no ${name} in JSON form`);
  return JSON.parse(match[1]);
}

/** A variable that the image sets. */
function environment(name: string): string {
  const match = new RegExp(`^ENV .*\\b${name}=(\\S+)`, "m").exec(
    dockerfile.slice(dockerfile.lastIndexOf("\nFROM ")),
  );
  assert.ok(match, `the Dockerfile sets no ${name}`);
  return match[1];
}

/** The rest of the line of the guide that begins with `command`. */
function guide(command: string): string {
  const text = Deno.readTextFileSync(`${deploy}README.md`);
  const match = new RegExp(`^${command} (.*)$`, "m").exec(text);
  assert.ok(match, `the guide has no line with ${command}`);
  return match[1];
}

/** Lets any free ports serve in place of the usual ones, which may be taken here. */
async function freePorts(path: string): Promise<void> {
  const config = JSON.parse(await Deno.readTextFile(path));
  config.mycnet.node = { ...config.mycnet.node, bindAddress: "127.0.0.1:0" };
  config.mycnet.plugins = { ...config.mycnet.plugins, admin: { bindAddress: "127.0.0.1:0" } };
  await Deno.writeTextFile(path, JSON.stringify(config));
}

/** The value of a directive of the unit. */
function directive(name: string): string {
  const match = new RegExp(`^${name}=(.*)$`, "m").exec(unit);
  assert.ok(match, `the unit has no ${name}`);
  return match[1];
}

Deno.test("the image builds from files that exist, with the Deno that CI uses", async () => {
  const copies = [...dockerfile.matchAll(/^COPY (?!--from)(.*) \S+$/gm)];
  assert.ok(copies.length > 0);
  for (const source of copies.flatMap(([, sources]) => sources.split(" "))) {
    await Deno.stat(rootPath + source);
  }
  const version = /deno@(\S+)/.exec(Deno.readTextFileSync(`${rootPath}.ci/run`))![1].replace(
    '"',
    "",
  );
  assert.match(dockerfile, new RegExp(`\\bdeno@${version.replaceAll(".", "\\.")}\\b`));
  assert.match(dockerfile, /^USER (?!root\b)\w+$/m);
});

Deno.test("the image grants a node what `deno task node` does", () => {
  const granted = instruction("ENTRYPOINT").filter((it) => it.startsWith("--allow-"));
  assert.deepEqual(granted, taskPermissions("node"));
});

clusterTest("what the image runs is a node that its health check finds alive", async () => {
  await using folder = await tempFolder();
  const [deno, ...entry] = instruction("ENTRYPOINT").map((it) => it.replace("/app/", rootPath));
  assert.equal(deno, "deno");
  const config = environment("MYCNET_CONFIG").replace("/var/lib/mycnet", folder.path);
  const options = { cwd: folder.path, env: { MYCNET_CONFIG: config } };
  const image = (...args: string[]) => startDeno([...entry, ...args], options);

  await using init = image(
    ...guide("docker run --rm .* mycnet").replace("/var/lib/mycnet", folder.path).split(" "),
  );
  assert.equal((await init.ended()).code, 0, init.stderr.join("\n"));
  await freePorts(config);
  assert.deepEqual(instruction("CMD"), nodeArguments.slice(0, 1));
  await using node = image(...nodeArguments);
  const { admin } = await started(node);

  const [program, ...check] = instruction("HEALTHCHECK");
  assert.equal(program, "deno");
  const { bindAddress } = adminPlugin.schema().properties as { bindAddress: { default: string } };
  const asked = check.map((it) => it.replace(`http://${bindAddress.default}`, admin));
  assert.notDeepEqual(asked, check, "the health check does not ask where admin listens");
  await using alive = startDeno(asked);
  assert.equal((await alive.ended()).code, 0, alive.stderr.join("\n"));

  node.signal("SIGTERM");
  assert.equal((await node.ended()).code, 0, node.stderr.join("\n"));
  await using dead = startDeno(asked);
  assert.notEqual((await dead.ended()).code, 0);
});

clusterTest("what the unit runs is a command with the options that it has", async () => {
  const [program, command, ...options] = directive("ExecStart").split(" ");
  assert.equal(program, "/usr/local/bin/mycnet");
  await using help = startMycnet([command, "--help"]);
  assert.equal((await help.ended()).code, 0, help.stderr.join("\n"));
  for (const option of options.filter((it) => it.startsWith("--"))) {
    assert.ok(help.stdout.join("\n").includes(option), `mycnet ${command} has no ${option}`);
  }
  assert.equal(options[options.indexOf("--config") + 1], environment("MYCNET_CONFIG"));
  assert.equal(directive("KillSignal"), "SIGTERM");
  assert.equal(directive("Restart"), "on-failure");
});
