/**
 * Rules about the text of files: no path of somebody's machine, no registry's
 * host, no unfinished work, no talk of how the project came to be, files short
 * enough to hold in one's head, each beginning with what it is for.
 *
 * The patterns are written so that they do not match themselves.
 */
import { type Finding, isCode, isTest, lineAt, type SourceFile } from "./tree.ts";

/** The longest a file of code may be, in lines. */
export const maxLines = 400;

/** Files that may be longer, and why. Ideally none. */
export const longFiles: ReadonlyMap<string, string> = new Map([]);

interface Pattern {
  readonly pattern: RegExp;
  readonly remedy: string;
  /** Files it does not apply to. */
  readonly except?: RegExp;
}

const patterns: readonly Pattern[] = [
  {
    pattern: /(?<![\w.$}-])\/(work|root|home|Users|tmp\/bash_jobs)\/[\w.-]+/g,
    remedy: "names a folder of one machine: use a relative path, or Deno.makeTempDir()",
  },
  {
    pattern: /(?<![\w.-])\/tmp\/[\w.-]+/g,
    remedy: "names a fixed temporary file, which two runs would share: use Deno.makeTempDir()",
    except: /^\.ci\/run$/,
  },
  {
    pattern: /\bregistry\.[a-z0-9-]+\.[a-z]{2,}|\bnpm\.jsr\.io\b|\/artifactory\//gi,
    remedy: "names a package registry: each machine has its own; leave the host out",
  },
  {
    pattern: /\b(TO(?=DO)DO|FIX(?=ME)ME|HA(?=CK)CK)\b|\bnot (yet )?(im)plemented\b/g,
    remedy: "is unfinished: do it, or delete it",
  },
  {
    pattern:
      /\b(issue|session|ticket)\s+(number\s+)?#?\d+\b|\b(earlier|previous|this) (working )?session\b(?= (of the project|did|wrote|added))/gi,
    remedy: "speaks of how the work was organised: say what holds now, and why",
  },
  {
    pattern:
      /\b(chat(?=gpt)gpt|clau(?=de)de|anthro(?=pic)pic|copi(?=lot)lot|ai[- ](generated|assisted|written))\b/gi,
    remedy: "speaks of tools at work: the project speaks of itself alone",
  },
];

/** Machine paths, registry hosts, unfinished work and talk of the workshop. */
export function checkWords(files: readonly SourceFile[]): Finding[] {
  const findings: Finding[] = [];
  for (const { path, text } of files) {
    for (const { pattern, remedy, except } of patterns) {
      if (except?.test(path)) continue;
      for (const match of text.matchAll(pattern)) {
        findings.push({
          path,
          line: lineAt(text, match.index),
          message: `"${match[0].trim()}" ${remedy}`,
        });
      }
    }
  }
  return findings;
}

/** A lock file that says where its packages came from would tie the project to that place. */
export function checkLock(files: readonly SourceFile[]): Finding[] {
  return files.filter(({ path }) => path.endsWith("deno.lock")).flatMap(({ path, text }) =>
    [...text.matchAll(/https?:\/\/[^\s"]+|"tarball"/g)].map((match) => ({
      path,
      line: lineAt(text, match.index),
      message: `"${
        match[0]
      }" ties the lock to one host: write it anew with an ordinary npm configuration`,
    }))
  );
}

/** Files of code over {@linkcode maxLines}, and exemptions that are no longer needed. */
export function checkLength(
  files: readonly SourceFile[],
  exempt: ReadonlyMap<string, string> = longFiles,
): Finding[] {
  const findings: Finding[] = [];
  for (const file of files.filter(isCode)) {
    const lines = file.text.trimEnd().split("\n").length;
    if (lines > maxLines && !exempt.has(file.path)) {
      findings.push({
        path: file.path,
        message: `has ${lines} lines, over ${maxLines}: it is asking to be two files`,
      });
    } else if (lines <= maxLines && exempt.has(file.path)) {
      findings.push({ path: file.path, message: "is short enough now: strike its exemption" });
    }
  }
  return findings;
}

/**
 * Code that does not begin with a comment saying what it is for, before or right
 * after its imports. Tests speak through their names.
 */
export function checkHeaders(files: readonly SourceFile[]): Finding[] {
  return files
    .filter((file) => isCode(file) && !/_test\.tsx?$/.test(file.path))
    .filter(({ text }) => !/^(#!.*\n)?(\s*import\b[^;]*;)*\s*(\/\*\*|\/\/)/.test(text))
    .map(({ path }) => ({
      path,
      line: 1,
      message: "begins without a comment: say first what the file is for",
    }));
}

/** `deno-lint-ignore` of a house rule, or of any rule without a reason. */
export function checkIgnores(files: readonly SourceFile[]): Finding[] {
  const findings: Finding[] = [];
  for (const { path, text } of files.filter(isCode)) {
    for (const match of text.matchAll(/\/\/ deno-lint-ignore(?:-file)?[^\n]*/g)) {
      const line = lineAt(text, match.index);
      if (/ house\//.test(match[0])) {
        const message = "switches off a house rule: list the file with its reason in tests/tidy/";
        findings.push({ path, line, message });
      } else if (!/ -- \S/.test(match[0])) {
        const message = "switches off a lint rule silently: add ` -- ` and the reason";
        findings.push({ path, line, message });
      }
    }
  }
  return findings;
}

/** Tests whose name is no sentence: at least three words. */
export function checkTestNames(files: readonly SourceFile[]): Finding[] {
  const findings: Finding[] = [];
  for (const { path, text } of files.filter((it) => isTest(it.path) && isCode(it))) {
    for (const match of text.matchAll(/^\s*(?:Deno\.test|clusterTest)\("([^"]*)"/gm)) {
      if (match[1].trim().split(/\s+/).length >= 3) continue;
      findings.push({
        path,
        line: lineAt(text, match.index),
        message: `"${match[1]}" names a thing: say in a sentence what holds`,
      });
    }
  }
  return findings;
}
