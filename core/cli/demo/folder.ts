/**
 * The folder of a running demo: its cluster's keys and its nodes'
 * configurations, under the system's folder for temporary files.
 *
 * The name carries the process id, so that the next demo can tell a dead
 * demo's folder from a live one's and clear it. A process id that was given
 * to another program since keeps a dead folder until that program ends: too
 * long kept is harmless, too early removed is not.
 */
import { join } from "node:path";
import process from "node:process";

const prefix = "mycnet-demo-";

/** True if a process of that id exists. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0); // Sends nothing: asks whether it could.
    return true;
  } catch (error) {
    return (error as { code?: string }).code === "EPERM"; // It exists, as somebody else's.
  }
}

/** Where temporary files go. */
export function temporaryRoot(): string {
  return Deno.env.get("TMPDIR") ?? "/tmp";
}

/** Removes what dead demos left under `root`. Returns the folders removed. */
export async function clearDead(root: string): Promise<string[]> {
  const removed: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(root)) {
    const match = /^mycnet-demo-(\d+)-/.exec(name);
    if (!isDirectory || match === null || isAlive(Number(match[1]))) continue;
    const path = join(root, name);
    try {
      await Deno.remove(path, { recursive: true });
      removed.push(path);
    } catch {
      // Another user's, or cleared by another demo at this moment.
    }
  }
  return removed;
}

/** Makes this process's folder, readable by its owner alone. */
export function makeFolder(root: string): string {
  return Deno.makeTempDirSync({ dir: root, prefix: `${prefix}${Deno.pid}-` });
}
