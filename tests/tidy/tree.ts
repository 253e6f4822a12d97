/**
 * The files of the repository as the house rules see them: a path relative to
 * the root, with forward slashes, and the text. Rules are functions of such
 * files and never touch the disk, so that a test can plant a violation in memory.
 */

/** One file. */
export interface SourceFile {
  /** Relative to the root, e.g. `core/kernel/host.ts`. */
  readonly path: string;
  readonly text: string;
}

/** What a rule found: where, and a sentence that says what to do. */
export interface Finding {
  readonly path: string;
  /** Counted from 1. Absent where the whole file is meant. */
  readonly line?: number;
  readonly message: string;
}

/** A rule over all files at once. */
export type Rule = (files: readonly SourceFile[]) => Finding[];

const skippedFolders = new Set([".git", "node_modules", "dist", "coverage", ".mycnet"]);
const readExtensions = /\.(ts|tsx|js|json|jsonc|md|sh|yml|yaml|toml|txt|service|lock)$/;
const readNames = /(^|\/)(Dockerfile|LICENSE-[A-Z]+|\.gitignore|run)$/;

/** The root of the repository, with a slash at its end. */
export const root: URL = new URL("../../", import.meta.url);

/** Reads every text file below the root, in the order of their paths. */
export function readTree(): SourceFile[] {
  const files: SourceFile[] = [];
  const walk = (folder: string) => {
    for (const entry of Deno.readDirSync(new URL(folder, root))) {
      const path = folder + entry.name;
      if (entry.isDirectory) {
        if (!skippedFolders.has(entry.name)) walk(`${path}/`);
      } else if (entry.isFile && (readExtensions.test(path) || readNames.test(path))) {
        files.push({ path, text: Deno.readTextFileSync(new URL(path, root)) });
      }
    }
  };
  walk("./");
  return files
    .map((it) => ({ ...it, path: it.path.slice(2) }))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** True for TypeScript and JavaScript. */
export function isCode({ path }: SourceFile): boolean {
  return /\.(ts|tsx|js)$/.test(path);
}

/** True for a file that only tests run: a test, or anything under tests/, bench/ or examples/. */
export function isTest(path: string): boolean {
  return /_test\.tsx?$/.test(path) || /^(tests|bench|examples)\//.test(path);
}

/** The line, counted from 1, of an offset in a text. */
export function lineAt(text: string, offset: number): number {
  let line = 1;
  for (let at = text.indexOf("\n"); at !== -1 && at < offset; at = text.indexOf("\n", at + 1)) {
    line++;
  }
  return line;
}

/** Findings as a person reads them, one a line. */
export function render(findings: readonly Finding[]): string {
  return findings
    .map(({ path, line, message }) => `${path}${line === undefined ? "" : `:${line}`}: ${message}`)
    .join("\n");
}
