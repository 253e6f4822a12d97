/**
 * Notices that a configuration file changed.
 *
 * A watch event tells at once, also of a file put in place of the old one; a
 * re-read every few seconds catches what fires none (a symlink swapped by an
 * orchestrator, a network file system). Events come in bursts while an editor
 * writes, so the file is read once they have settled. A file that is gone or half written changes nothing: the next
 * complete version does. It is not even reported unless it is found so twice,
 * since whoever writes in place empties the file first.
 */
import { basename, dirname } from "node:path";
import type { Host, Timer } from "../../kernel/host.ts";
import { type ConfigFile, readConfig } from "./file.ts";

/** How long events must have been quiet, in ms. */
const settleMs = 100;
/** How often the file is read without any event, in ms. */
const rereadMs = 3000;

/** Watches the folder, since an editor may put another file in place of the one that was there. */
function openWatcher(path: string): Deno.FsWatcher {
  const folder = dirname(path);
  // Asked beforehand: somebody who granted the file alone is not to be prompted for more.
  const { state } = Deno.permissions.querySync({ name: "read", path: folder });
  return state === "granted" ? Deno.watchFs(folder, { recursive: false }) : Deno.watchFs(path);
}

/** Watches `file` until disposed; `changed` gets each new text once, `failed` each unreadable state once. */
export function watchConfig(
  host: Host,
  file: ConfigFile,
  changed: (file: ConfigFile) => void,
  failed: (error: Error) => void,
): AsyncDisposable {
  let lastText = file.text;
  let lastFailure = "";
  let suspected = "";
  let ended = false;
  let settle: Timer | undefined;
  let reading: Promise<void> = Promise.resolve();

  const read = async () => {
    try {
      const now = await readConfig(file.path);
      lastFailure = suspected = "";
      if (ended || now.text === lastText) return;
      lastText = now.text;
      changed(now);
    } catch (error) {
      const { message } = error as Error;
      if (ended || message === lastFailure) return;
      if (message !== suspected) {
        suspected = message;
        soon();
        return;
      }
      lastFailure = message;
      failed(error as Error);
    }
  };
  const reread = () => reading = reading.then(read);
  const soon = () => {
    settle?.[Symbol.dispose]();
    settle = host.after(settleMs, reread);
  };

  let watcher: Deno.FsWatcher | undefined;
  const watching = (async () => {
    try {
      watcher = openWatcher(file.path);
      for await (const { paths } of watcher) {
        if (ended) break;
        if (paths.some((it) => basename(it) === basename(file.path))) soon();
      }
    } catch {
      // Not permitted, or too many watches: the regular re-read has to do.
    }
  })();
  const timer = host.every(rereadMs, reread);

  return {
    async [Symbol.asyncDispose]() {
      ended = true;
      timer[Symbol.dispose]();
      settle?.[Symbol.dispose]();
      try {
        watcher?.close();
      } catch {
        // It had already ended by itself.
      }
      await watching;
      await reading;
    },
  };
}
