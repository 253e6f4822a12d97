/**
 * A real Prometheus server and its promtool for tests, on loopback.
 *
 * As with Serf agents (serf.ts), a watcher beside the server sees to its end.
 */
import { freePort } from "./ports.ts";
import { Child, type TempFolder, tempFolder } from "./processes.ts";
import { watched } from "./serf.ts";

/** Why there can be no server here; undefined if there can. */
export function prometheusMissing(): string | undefined {
  for (const program of ["prometheus", "promtool"]) {
    try {
      const { success } = new Deno.Command(program, { args: ["--version"] }).outputSync();
      if (!success) return `\`${program} --version\` fails`;
    } catch {
      return `there is no \`${program}\`: apt-get install --no-install-recommends prometheus`;
    }
  }
  return undefined;
}

/** What `promtool check metrics` says of a page: its complaints, empty if there are none. */
export async function promtoolComplaints(page: string): Promise<string> {
  const promtool = new Deno.Command("promtool", {
    args: ["check", "metrics"],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = promtool.stdin.getWriter();
  await writer.write(new TextEncoder().encode(page));
  await writer.close();
  const { success, stdout, stderr } = await promtool.output();
  const text = [stdout, stderr].map((it) => new TextDecoder().decode(it)).join("").trim();
  return text === "" && !success ? "it failed without a word" : text;
}

/** One series as a query answers it. */
export interface Series {
  readonly metric: Readonly<Record<string, string>>;
  /** The time in seconds, and the value as text. */
  readonly value: readonly [number, string];
}

/** How long a series may take to appear, in ms, and how often to look. */
const patienceMs = 30_000;
const lookEveryMs = 50;

/** A server that scrapes. */
export class PrometheusServer implements AsyncDisposable {
  readonly #child: Child;
  readonly #address: string;
  readonly #folder: TempFolder;

  private constructor(child: Child, address: string, folder: TempFolder) {
    this.#child = child;
    this.#address = address;
    this.#folder = folder;
  }

  /** Starts one that scrapes `/metrics` of these addresses with a bearer token, five times a second. */
  static async start(
    targets: readonly string[],
    token: string,
  ): Promise<PrometheusServer> {
    const folder = await tempFolder();
    const address = `127.0.0.1:${freePort()}`;
    await Deno.writeTextFile(`${folder.path}/token`, token);
    await Deno.writeTextFile(
      `${folder.path}/prometheus.yml`,
      JSON.stringify({ // YAML is a superset of JSON.
        global: { scrape_interval: "200ms", scrape_timeout: "200ms" },
        scrape_configs: [{
          job_name: "mycnet",
          authorization: { type: "Bearer", credentials_file: `${folder.path}/token` },
          static_configs: [{ targets }],
        }],
      }),
    );
    const child = new Child("sh", [
      "-c",
      watched,
      "sh",
      "prometheus",
      `--config.file=${folder.path}/prometheus.yml`,
      `--storage.tsdb.path=${folder.path}/data`,
      `--web.listen-address=${address}`,
      "--log.format=json",
    ]);
    const server = new PrometheusServer(child, address, folder);
    try {
      await child.log(
        "that it is ready",
        ({ msg }) => /ready to receive/.test(`${msg}`) || undefined,
      );
      return server;
    } catch (error) {
      await server[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Asks its HTTP API. */
  async query(expression: string): Promise<readonly Series[]> {
    const url = `http://${this.#address}/api/v1/query?query=${encodeURIComponent(expression)}`;
    const { status, data, error } = await (await fetch(url)).json();
    if (status !== "success") throw new Error(`${expression}: ${error}`);
    return data.result;
  }

  /** Asks until the answer is as wanted. @throws with the last answer when patience runs out. */
  async until(
    expression: string,
    wanted: (series: readonly Series[]) => boolean,
  ): Promise<readonly Series[]> {
    const deadline = performance.now() + patienceMs;
    while (true) {
      const series = await this.query(expression);
      if (wanted(series)) return series;
      if (performance.now() > deadline) {
        throw new Error(`${expression} stayed ${JSON.stringify(series)}`);
      }
      await new Promise((resume) => setTimeout(resume, lookEveryMs));
    }
  }

  /** Ends it, by force, and removes what it stored. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child[Symbol.asyncDispose]();
    await this.#folder[Symbol.asyncDispose]();
  }
}
