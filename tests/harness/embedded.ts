/**
 * Reads the tree of embedded files that `deno compile` prints. A folder stands
 * as `name/*` where everything in it on disk is embedded, and as its entries
 * otherwise.
 */

/** Paths of embedded files, and folders embedded whole, which end in `/*`. */
export function embeddedFiles(output: string): string[] {
  const paths: string[] = [];
  const folders: string[] = [];
  for (const line of output.split("\n")) {
    // Two columns of drawing for each level, then a branch of two to four, then the name.
    const match = /^((?:[│ ] )*)[├└]─[─┬] (.+?)(?: \([^()]*\))?$/.exec(line);
    if (!match) continue;
    const [, drawing, name] = match;
    folders.length = drawing.length / 2;
    const path = [...folders, name].join("/");
    if (line.includes("─┬ ")) folders.push(name);
    else paths.push(path);
  }
  return paths;
}

/** Whether a file is among what {@linkcode embeddedFiles} returned. */
export function isEmbedded(embedded: readonly string[], path: string): boolean {
  return embedded.some((it) =>
    it === path || it.endsWith("/*") && path.startsWith(it.slice(0, -1))
  );
}
