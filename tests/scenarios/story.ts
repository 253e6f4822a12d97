/**
 * Cluster stories as text: commands, and below each what it answers.
 *
 *     # What the story is about, and why it goes as it goes.
 *     crash b
 *     ----
 *     ok
 *
 * A block is one command, a line of dashes, and the answer up to an empty line.
 * The text is the expectation: with `--update` the answers are written anew, and
 * the difference under version control shows what changed.
 */

/** One command of a story. */
export interface Step {
  /** The lines before it, comments and empty ones, as they stand. */
  readonly before: string;
  readonly command: string;
  /** Words without `=`. */
  readonly words: readonly string[];
  /** Words with it. */
  readonly options: Readonly<Record<string, string>>;
  /** What it should answer. */
  readonly expected: string;
  /** In the file, from 1. */
  readonly line: number;
}

const rule = "----";

/** Reads a story. @throws naming the line of a command without a line of dashes. */
export function parseStory(
  text: string,
): { readonly steps: readonly Step[]; readonly after: string } {
  const lines = text.split("\n");
  const steps: Step[] = [];
  let before: string[] = [];
  for (let at = 0; at < lines.length; at++) {
    const text = lines[at]!;
    if (text === "" || text.startsWith("#")) {
      before.push(text);
      continue;
    }
    if (lines[at + 1] !== rule) {
      throw new Error(`line ${at + 2}: "${rule}" expected below "${text}"`);
    }
    const [command, ...all] = text.split(/\s+/).filter((word) => word !== "");
    const options = all.filter((word) => word.includes("=")).map((word) => {
      const split = word.indexOf("=");
      return [word.slice(0, split), word.slice(split + 1)] as const;
    });
    const line = at + 1;
    const answer: string[] = [];
    for (at += 2; at < lines.length && lines[at] !== ""; at++) answer.push(lines[at]!);
    at--;
    steps.push({
      before: before.map((it) => `${it}\n`).join(""),
      command: command!,
      words: all.filter((word) => !word.includes("=")),
      options: Object.fromEntries(options),
      expected: answer.join("\n"),
      line,
    });
    before = [];
  }
  return { steps, after: before.join("\n") };
}

/** Writes a story with these answers, one for each step. */
export function renderStory(text: string, answers: readonly string[]): string {
  const { steps, after } = parseStory(text);
  const lines = text.split("\n");
  return steps.map(({ before, line }, i) => `${before}${lines[line - 1]}\n${rule}\n${answers[i]}\n`)
    .join("") + after;
}
