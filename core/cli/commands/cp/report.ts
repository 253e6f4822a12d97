/** What is said at the end of a copy. */
import { codeOf } from "../../../kernel/errors.ts";
import { exitCodes } from "../../exit_codes.ts";
import { exitOf, type Output, printable } from "../../output.ts";
import type { CopiedTree } from "./copied.ts";
import { shownBytes, shownTime } from "./progress.ts";

/** How much, how long and how fast. */
export function shownCopy(bytes: number, resumed: number, seconds: number): string {
  const rate = seconds > 0 ? ` (${shownBytes((bytes - resumed) / seconds)}/s)` : "";
  const there = resumed > 0 ? `, of which ${shownBytes(resumed)} were there` : "";
  return `${shownBytes(bytes)} in ${shownTime(seconds)}${rate}${there}`;
}

/**
 * Tells what became of a folder.
 * @returns the exit code: that of what ended the copy, 1 if anything failed, else 0.
 */
export function reportTree(
  out: Output,
  [from, to]: readonly string[],
  copied: CopiedTree,
  seconds: number,
): number {
  const { ended, failed, failures } = copied;
  const code = ended !== undefined
    ? exitOf(codeOf(ended) ?? "internal")
    : failed > 0
    ? exitCodes.failed
    : exitCodes.ok;
  if (out.json) {
    const why = ended === undefined
      ? {}
      : { ended: { code: codeOf(ended) ?? "internal", message: ended.message } };
    out.value({ from, to, ...copied, ...why, seconds });
    return code;
  }
  const parts = [
    `${counted(copied.files, "file")}, ` +
    shownCopy(copied.bytes, copied.resumed, seconds),
  ];
  if (copied.unchanged > 0) parts.push(`${counted(copied.unchanged, "file")} already there`);
  out.line(printable(`${from} to ${to}: `) + parts.join("; "));
  const { links, special, names } = copied.skipped;
  const skipped = [
    ...(links > 0 ? [counted(links, "symbolic link")] : []),
    ...(special > 0 ? [`${special} neither file nor folder`] : []),
    ...(names > 0 ? [`${counted(names, "name")} that no copy can have`] : []),
  ];
  if (skipped.length > 0) out.line(`passed over: ${skipped.join(", ")}`);
  if (failed > 0) out.note(`${failed} could not be copied:`);
  for (const { path, message } of failures) {
    out.note(printable(`  ${path === "" ? "." : path}: ${message}`));
  }
  if (failed > failures.length) out.note(`  and ${failed - failures.length} more`);
  // Only that it did not come to its end; the same command goes on from here.
  return ended === undefined ? code : out.fail(ended);
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}
