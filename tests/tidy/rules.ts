/**
 * All rules of the house over a set of files, each as the sentence that must
 * hold. The workspace's own deno.json files are among the files.
 */
import { checkCycles, checkFloors, type Member } from "./floors.ts";
import house, { impure } from "./house.ts";
import { scan } from "./scan.ts";
import {
  checkHeaders,
  checkIgnores,
  checkLength,
  checkLock,
  checkTestNames,
  checkWords,
} from "./text.ts";
import { type Finding, isCode, lineAt, type SourceFile } from "./tree.ts";

interface Config {
  readonly name: string;
  readonly exports: Readonly<Record<string, string>>;
  readonly imports?: Readonly<Record<string, string>>;
  readonly workspace?: readonly string[];
}

/** The rules, by the sentences that they check. */
export function houseRules(files: readonly SourceFile[]): Record<string, () => Finding[]> {
  const config = (folder: string): Config =>
    JSON.parse(files.find(({ path }) => path === `${folder}deno.json`)!.text);
  const folders = ["", ...(config("").workspace ?? []).map((it) => `${it.replace(/^\.\//, "")}/`)];
  const members: Member[] = folders.map((folder) => ({ folder, ...config(folder) }));
  const packages = new Set(folders.flatMap((it) => Object.keys(config(it).imports ?? {})));
  const code = files.filter(isCode).map(scan);
  return {
    "a floor imports only floors below it, and no plugin another plugin": () =>
      checkFloors(code, members, packages),
    "nothing imports in a circle": () => checkCycles(code, members),
    "clocks, timers and randomness are read in one file, and protocols/ is pure": () =>
      code.flatMap(({ path, text }) =>
        Deno.lint.runPlugin(house, path, text).map(({ message, range }) => ({
          path,
          line: lineAt(text, range[0]),
          message,
        }))
      ),
    "each file that may be impure exists": () =>
      [...impure].filter(([path]) => !code.some((it) => it.path === path)).map(([path]) => ({
        path,
        message: "is exempt from the rule on clocks and does not exist: strike it",
      })),
    "no machine's paths, no registry's host, nothing unfinished": () => checkWords(files),
    "the lock does not say where packages came from": () => checkLock(files),
    "a file of code is short enough to hold in one's head": () => checkLength(files),
    "a file of code begins by saying what it is for": () => checkHeaders(files),
    "a lint rule is switched off only with a reason": () => checkIgnores(files),
    "a test's name is a sentence": () => checkTestNames(files),
  };
}
