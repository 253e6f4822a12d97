/**
 * Follows credential files while the node runs.
 *
 * Two things trigger a look: an event in one of their folders, and a beat of a
 * few seconds, because a symlink swap (how orchestrators replace secrets) fires
 * no event that names our files. A look reads all three and hands them on only
 * if they differ from the last good ones and fit together. Between the writing of
 * the first file and the last they do not; so what does not fit is ignored, and
 * said once, at the next beat at the earliest.
 */
import { dirname } from "node:path";
import type { Credentials } from "../../contracts/identity.ts";
import type { Host, Timer } from "../../kernel/host.ts";
import {
  checkCredentials,
  type CredentialPaths,
  type LoadedCredentials,
  readCredentials,
  sameCredentials,
} from "./credentials.ts";

/** How often the files are read at least, in ms. */
export const rereadPeriodMs: number = 5000;
/** How long after an event the files are read, so that writers may finish, in ms. */
const settleMs = 100;

/** What a watcher needs. */
export interface WatcherOptions {
  readonly paths: CredentialPaths;
  readonly host: Host;
  /** A sentence if the new credentials may not follow the old ones. */
  readonly refuse?: (next: LoadedCredentials) => string | undefined;
}

/** Credentials that follow their files. Made by {@linkcode watchCredentials}. */
export interface CredentialWatcher extends AsyncDisposable {
  /** The latest good ones. */
  readonly current: LoadedCredentials;
  /** Runs after each change. */
  onChange(changed: (loaded: LoadedCredentials) => void): Disposable;
}

/** Reads the files and follows them. @throws as {@linkcode readCredentials} and {@linkcode checkCredentials}. */
export async function watchCredentials(options: WatcherOptions): Promise<CredentialWatcher> {
  const { paths, host } = options;
  const credentials = await readCredentials(paths);
  return new Watcher(options, checkCredentials(credentials, paths, host.wallTime()));
}

class Watcher implements CredentialWatcher {
  current: LoadedCredentials;
  readonly #options: WatcherOptions;
  readonly #subscribers = new Set<(loaded: LoadedCredentials) => void>();
  readonly #beat: Timer;
  readonly #events: Deno.FsWatcher | undefined;
  readonly #following: Promise<void>;
  #settling: Timer | undefined;
  #looking: Promise<void> | undefined;
  #complaint = "";
  #disposed = false;

  constructor(options: WatcherOptions, loaded: LoadedCredentials) {
    this.#options = options;
    this.current = loaded;
    this.#beat = options.host.every(rereadPeriodMs, () => void this.#look(true));
    this.#events = this.#watchFolders();
    this.#following = this.#follow();
  }

  onChange(changed: (loaded: LoadedCredentials) => void): Disposable {
    const subscriber = (loaded: LoadedCredentials) => changed(loaded);
    this.#subscribers.add(subscriber);
    return { [Symbol.dispose]: () => void this.#subscribers.delete(subscriber) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#beat[Symbol.dispose]();
    this.#settling?.[Symbol.dispose]();
    this.#subscribers.clear();
    this.#events?.close();
    await this.#following;
    await this.#looking;
  }

  #watchFolders(): Deno.FsWatcher | undefined {
    const { certPath, keyPath, caCertPath } = this.#options.paths;
    const folders = [...new Set([certPath, keyPath, caCertPath].map((path) => dirname(path)))];
    try {
      return Deno.watchFs(folders, { recursive: false });
    } catch (error) {
      // No permission, no inotify handles left: the beat is enough.
      this.#options.host.log.debug("Credential files are not watched, only read again", {
        error: (error as Error).message,
      });
      return undefined;
    }
  }

  async #follow(): Promise<void> {
    try {
      for await (const { kind } of this.#events ?? []) {
        // Our own reading is an "access".
        if (kind === "access" || this.#settling !== undefined || this.#disposed) continue;
        this.#settling = this.#options.host.after(settleMs, () => {
          this.#settling = undefined;
          void this.#look(false);
        });
      }
    } catch (error) {
      this.#options.host.log.debug("Watching credential files ended", {
        error: (error as Error).message,
      });
    }
  }

  /**
   * One look at a time; what it misses, the next beat sees. `patient`: files have
   * had time to become whole, so complain if they are not.
   */
  #look(patient: boolean): Promise<void> {
    if (this.#disposed) return Promise.resolve();
    return this.#looking ??= this.#read(patient).finally(() => this.#looking = undefined);
  }

  async #read(patient: boolean): Promise<void> {
    const { paths, host, refuse } = this.#options;
    try {
      const credentials: Credentials = await readCredentials(paths);
      if (this.#disposed || sameCredentials(credentials, this.current.credentials)) {
        this.#complaint = "";
        return;
      }
      const loaded = checkCredentials(credentials, paths, host.wallTime());
      const refusal = refuse?.(loaded);
      if (refusal !== undefined) return this.#complain(refusal);
      this.#complaint = "";
      this.current = loaded;
      host.log.info("New credentials are in use", {
        expiresAt: new Date(loaded.expiresAt).toISOString(),
      });
      for (const subscriber of [...this.#subscribers]) this.#tell(subscriber, loaded);
    } catch (error) {
      if (patient) this.#complain((error as Error).message);
    }
  }

  #tell(subscriber: (loaded: LoadedCredentials) => void, loaded: LoadedCredentials): void {
    try {
      subscriber(loaded);
    } catch (error) {
      this.#options.host.log.error("A subscriber to new credentials threw", {
        error: (error as Error).message,
      });
    }
  }

  /** Once for each different problem, not at every beat. */
  #complain(problem: string): void {
    if (problem === this.#complaint) return;
    this.#complaint = problem;
    this.#options.host.log.warn("New credentials are not usable; the old ones stay in use", {
      problem,
    });
  }
}
