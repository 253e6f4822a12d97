// The runtime as one file: a bundle that runs anywhere with nothing in Deno's
// cache, and an executable that carries every built-in plugin.
import assert from "node:assert/strict";
import { embeddedFiles, isEmbedded } from "./harness/embedded.ts";
import { clusterTest } from "./harness/leaks.ts";
import {
  nodeArguments,
  rootPath,
  startDeno,
  started,
  taskPermissions,
  taskWords,
  tempFolder,
  unstableFlags,
} from "./harness/processes.ts";
import { scan } from "./tidy/scan.ts";

/** The modules behind the table of built-in plugins, relative to the root. */
function builtinModules(): string[] {
  const path = "plugins/mod.ts";
  const text = Deno.readTextFileSync(rootPath + path);
  const dynamic = scan({ path, text }).imports.filter((it) => it.dynamic);
  assert.ok(dynamic.length > 0, "plugins/mod.ts has no import()");
  return dynamic.map(({ specifier, line }) => {
    assert.ok(specifier, `plugins/mod.ts:${line}: a computed import() is not embedded`);
    return new URL(specifier, "file:///plugins/").pathname.slice(1);
  });
}

clusterTest("the executable embeds every built-in plugin", async () => {
  await using folder = await tempFolder();
  const [deno, ...args] = taskWords("compile");
  assert.equal(deno, "deno");
  args[args.indexOf("--output") + 1] = `${folder.path}/mycnet`;
  // The runtime that executables are made from is downloaded on first use. This Deno in its place
  // builds the same file; it just does not run it.
  await using compiling = startDeno(args, {
    cwd: rootPath,
    env: { DENORT_BIN: Deno.execPath() },
    patienceMs: 120_000,
  });
  const status = await compiling.ended();
  const output = [...compiling.stdout, ...compiling.stderr].join("\n");
  assert.ok(status.success, output);
  const embedded = embeddedFiles(output);
  for (const path of ["mod.ts", ...builtinModules()]) {
    assert.ok(isEmbedded(embedded, path), `${path} is not embedded in:\n${embedded.join("\n")}`);
  }
});

clusterTest("a bundle outside the repository runs a node with an empty cache", async () => {
  await using folder = await tempFolder();
  const bundle = `${folder.path}/mycnet.js`;
  await using bundling = startDeno(
    ["bundle", "--platform", "deno", "--output", bundle, "mod.ts"],
    { cwd: rootPath, patienceMs: 120_000 },
  );
  const bundled = await bundling.ended();
  assert.ok(bundled.success, bundling.stderr.join("\n"));

  await Deno.mkdir(`${folder.path}/cache`);
  const options = { cwd: folder.path, env: { DENO_DIR: `${folder.path}/cache` } };
  const flags = ["--cached-only", "--no-config", ...unstableFlags, ...taskPermissions("node")];
  const run = (...args: string[]) => startDeno(["run", ...flags, bundle, ...args], options);

  await using asking = run("--version");
  assert.equal((await asking.ended()).code, 0, asking.stderr.join("\n"));
  const { version } = JSON.parse(await Deno.readTextFile(`${rootPath}deno.json`));
  assert.match(asking.stdout.join("\n"), new RegExp(`\\b${version.replaceAll(".", "\\.")}\\b`));

  await Deno.writeTextFile(
    `${folder.path}/deno.json`,
    JSON.stringify({
      mycnet: {
        node: { id: "bundled", bindAddress: "127.0.0.1:0" },
        plugins: {
          tls: false,
          tcp: { insecure: true },
          identity: { insecure: true },
          admin: { bindAddress: "127.0.0.1:0" },
        },
      },
    }),
  );
  await using node = run(...nodeArguments);
  const { admin } = await started(node);
  const alive = await fetch(`${admin}/livez`);
  assert.equal(alive.status, 200);
  await alive.body?.cancel();
  node.signal("SIGTERM");
  assert.equal((await node.ended()).code, 0, node.stderr.join("\n"));
});
