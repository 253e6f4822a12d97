/**
 * Who may import whom. The house has floors: protocols, core/kernel,
 * core/contracts, the rooms of core, plugins, and the public face at the root.
 * A file imports only from its own room and from floors below, plugins never
 * import each other, and nothing imports in a circle.
 *
 * Tests stand outside the floors, except those of protocols/, which must run
 * wherever protocols/ is published.
 */
import { resolveRelative, type ScannedFile } from "./scan.ts";
import { type Finding, isTest } from "./tree.ts";

/** A floor: whom it may import, and which packages. `"*"` stands for any mapped package and `node:`. */
interface Floor {
  readonly name: string;
  readonly holds: RegExp;
  readonly packages: readonly string[];
}

/** From the ground up. A file may import floors that stand before its own, and its own. */
export const floors: readonly Floor[] = [
  { name: "protocols", holds: /^protocols\//, packages: ["@msgpack/msgpack"] },
  { name: "core/kernel", holds: /^core\/kernel\//, packages: ["zod"] },
  { name: "core/contracts", holds: /^core\/contracts\//, packages: [] },
  { name: "core", holds: /^core\/(node|admin|cli|simulation)\//, packages: ["*"] },
  { name: "plugins", holds: /^plugins\/[^/]+\//, packages: ["*"] },
  { name: "the root", holds: /^(plugins\/mod\.ts|[^/]+\.tsx?)$/, packages: ["*"] },
];

/** Packages that tests of protocols/ may import. */
const testPackages = ["fast-check", "node:assert/strict", "@msgpack/msgpack"];

/** The files of core/kernel that contracts are made of; the rest of the kernel is machinery. */
const tokens = /^core\/kernel\/(plugin|host|schema|errors)\.ts$/;

/** The workspace's own packages: name to folder and exports. */
export interface Member {
  readonly name: string;
  /** With a slash at its end; empty for the root. */
  readonly folder: string;
  readonly exports: Readonly<Record<string, string>>;
}

/** A bare specifier of the workspace as a path, or undefined for a package from elsewhere. */
export function resolveMember(members: readonly Member[], specifier: string): string | undefined {
  for (const { name, folder, exports } of members) {
    if (specifier !== name && !specifier.startsWith(`${name}/`)) continue;
    const target = exports[`.${specifier.slice(name.length)}`];
    return target === undefined ? `${folder}?` : folder + target.slice(2);
  }
  return undefined;
}

const floorOf = (path: string) => floors.findIndex((it) => it.holds.test(path));

/** Checks every import against the floors. */
export function checkFloors(
  files: readonly ScannedFile[],
  members: readonly Member[],
  packages: ReadonlySet<string>,
): Finding[] {
  const findings: Finding[] = [];
  const byPath = new Map(files.map((it) => [it.path, it]));
  for (const file of files) {
    const test = isTest(file.path);
    const floor = floorOf(file.path);
    for (const { specifier, line, typeOnly } of file.imports) {
      const say = (message: string) => findings.push({ path: file.path, line, message });
      if (specifier === undefined) continue;
      if (/^(npm|jsr|https?|file|data):/.test(specifier)) {
        if (test && specifier.startsWith("data:")) continue;
        say(`imports "${specifier}" by address: map a bare name to it in deno.json`);
        continue;
      }
      const relative = specifier.startsWith(".");
      const target = relative
        ? resolveRelative(file.path, specifier)
        : resolveMember(members, specifier);
      if (target?.endsWith("?")) {
        say(`imports "${specifier}", which its package does not export: add it to "exports"`);
        continue;
      }
      if (target === undefined) {
        const name = specifier.split("/").slice(0, specifier.startsWith("@") ? 2 : 1).join("/");
        if (!specifier.startsWith("node:") && !packages.has(name)) {
          say(`imports "${specifier}", which deno.json does not map: add it under "imports"`);
        } else if (file.path.startsWith("protocols/") && test) {
          if (!testPackages.includes(specifier)) {
            say(
              `is a test of protocols/ and imports "${specifier}": it may import ` +
                testPackages.join(", "),
            );
          }
        } else if (!test && floor >= 0) {
          const { packages: allowed, name: here } = floors[floor];
          if (!allowed.includes("*") && !allowed.includes(specifier)) {
            say(
              `imports "${specifier}", but ${here} may import ${
                allowed.join(", ") || "no package"
              }: take what it gives as an argument, or move this file up a floor`,
            );
          }
        }
        continue;
      }
      if (relative && !byPath.has(target) && /\.tsx?$/.test(target)) {
        say(`imports "${specifier}", and there is no such file`);
        continue;
      }
      if (file.path.startsWith("protocols/") && !target.startsWith("protocols/")) {
        say(`imports "${target}" out of protocols/, which is published alone: turn it round`);
        continue;
      }
      if (test) continue;
      if (floor === -1) {
        say(`stands on no floor: put it into one of ${floors.map((it) => it.name).join(", ")}`);
        break;
      }
      if (relative && target.startsWith("protocols/") && !file.path.startsWith("protocols/")) {
        say(`reaches into protocols/ by path: import it as @mycnet/protocols/<room>`);
        continue;
      }
      if (isTest(target)) {
        say(`imports the test file "${target}": move what is shared into a file of its own`);
        continue;
      }
      const below = floorOf(target);
      if (below > floor) {
        say(`imports "${target}" from the floor above: pass it in from there, or move it down`);
      } else if (floors[floor].name === "plugins" && below === floor) {
        const sideways = byPath.get(target)?.hasDefaultExport ||
          file.path.split("/")[1] !== target.split("/")[1];
        if (sideways) {
          say(
            `imports the plugin "${target}": need its capability instead, or share through core/`,
          );
        }
      } else if (floors[floor].name === "core/contracts") {
        if (target.startsWith("protocols/") && !typeOnly) {
          say(`takes more than types from "${specifier}": write \`import type\``);
        } else if (target.startsWith("core/kernel/") && !tokens.test(target)) {
          say(`imports "${target}": a contract takes tokens and types of the kernel, no machinery`);
        }
      } else if (floors[floor].name === "core/kernel" && target.startsWith("protocols/")) {
        say(`imports "${specifier}", but the kernel knows no protocol: move this up a floor`);
      }
    }
  }
  return findings;
}

/** Finds circles of imports, types included; an `import()` breaks a circle. Each is told once. */
export function checkCycles(files: readonly ScannedFile[], members: readonly Member[]): Finding[] {
  const findings: Finding[] = [];
  const byPath = new Map(files.map((it) => [it.path, it]));
  const state = new Map<string, "open" | "done">();
  const trail: string[] = [];
  const visit = (path: string) => {
    state.set(path, "open");
    trail.push(path);
    for (const { specifier, dynamic } of byPath.get(path)?.imports ?? []) {
      if (specifier === undefined || dynamic) continue;
      const target = specifier.startsWith(".")
        ? resolveRelative(path, specifier)
        : resolveMember(members, specifier);
      if (target === undefined || !byPath.has(target)) continue;
      if (state.get(target) === "open") {
        const circle = [...trail.slice(trail.indexOf(target)), target].join(" -> ");
        findings.push({
          path: target,
          message: `imports itself by way of ${circle}: move what both need into a third file`,
        });
      } else if (!state.has(target)) visit(target);
    }
    trail.pop();
    state.set(path, "done");
  };
  for (const { path } of files) if (!state.has(path)) visit(path);
  return findings;
}
