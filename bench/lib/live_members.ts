/**
 * Members of a live cluster: processes of one of three kinds that say whom they
 * see come and fail.
 *
 * `mycnet` is ours, several members to a process; `memberlist` a small program on
 * HashiCorp's library, made of the text below with the Go of the system; `serf` the
 * agent of the system, one member to a process. All gossip over loopback, in the
 * clear, with the settings of their `lan` profile.
 */
import { swimPresets } from "@mycnet/protocols/swim";
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import { Child } from "../../tests/harness/processes.ts";
import { type Loopback, run } from "./loopback.ts";

/** A kind of member. */
export const kinds = ["mycnet", "memberlist", "serf"] as const;
/** One of {@linkcode kinds}. */
export type MemberKind = (typeof kinds)[number];

/** One member. */
export interface MemberAddress {
  readonly name: string;
  readonly port: number;
}

/** What `programs/swim_members.ts` is started with. */
export interface MembersArgument {
  readonly members: readonly MemberAddress[];
  readonly preset: keyof typeof swimPresets;
  /** Whom to join through. */
  readonly seed: MemberAddress;
}

/** What somebody has heard. */
export interface Heard {
  readonly by: string;
  readonly type: "joined" | "failed" | "alone";
  readonly about: string;
  /** When it was read here, ms. */
  readonly atMs: number;
}

/** A process with its members. */
export interface MemberProcess {
  readonly child: Child;
  readonly members: readonly string[];
}

/** Starts processes of one kind. Use with `await using`. */
export class MemberStarter implements AsyncDisposable {
  readonly #kind: MemberKind;
  readonly #network: Loopback;
  readonly #preset: keyof typeof swimPresets;
  readonly #folder: string;
  #disposed = false;

  private constructor(
    kind: MemberKind,
    network: Loopback,
    preset: keyof typeof swimPresets,
    folder: string,
  ) {
    this.#kind = kind;
    this.#network = network;
    this.#preset = preset;
    this.#folder = folder;
  }

  /** Makes one; builds what must be built. @throws saying what is missing. */
  static async create(
    kind: MemberKind,
    network: Loopback,
    preset: keyof typeof swimPresets,
  ): Promise<MemberStarter> {
    const folder = await Deno.makeTempDir({ prefix: "mycnet-bench-" });
    const starter = new MemberStarter(kind, network, preset, folder);
    try {
      if (kind === "memberlist") await starter.#build();
      if (kind === "serf") await run(["serf", "version"]);
      return starter;
    } catch (error) {
      await starter[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** How many members a process may have. */
  get perProcess(): number {
    return this.#kind === "serf" ? 1 : Infinity;
  }

  /** Starts one process. What its members hear goes to `heard`. */
  start(
    members: readonly MemberAddress[],
    seed: MemberAddress,
    heard: (it: Heard) => void,
  ): MemberProcess {
    const [program, ...args] = this.#network.inside(this.#command(members, seed));
    const child = new Child(program!, args, { patienceMs: longestRunMs });
    const parse = this.#kind === "serf" ? serfLine(members[0]!.name) : jsonLine;
    // Never finds anything, and so sees every line until the process ends.
    child.line("the end", (line) => {
      const it = parse(line);
      if (it !== undefined) heard({ ...it, atMs: performance.now() });
      return undefined;
    }).catch(() => {});
    return { child, members: members.map((it) => it.name) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    await Deno.remove(this.#folder, { recursive: true });
  }

  #command(members: readonly MemberAddress[], seed: MemberAddress): readonly string[] {
    switch (this.#kind) {
      case "mycnet": {
        const argument: MembersArgument = { members, seed, preset: this.#preset };
        const file = fileURLToPath(new URL("../programs/swim_members.ts", import.meta.url));
        return [Deno.execPath(), "run", "--allow-all", file, JSON.stringify(argument)];
      }
      case "memberlist":
        return [
          join(this.#folder, "members"),
          `127.0.0.1:${seed.port}`,
          ...members.map(({ name, port }) => `${name}:${port}`),
        ];
      case "serf": {
        const [{ name, port }] = members as readonly [MemberAddress];
        const joining = name === seed.name ? [] : [`-retry-join=127.0.0.1:${seed.port}`];
        return [
          "serf",
          "agent",
          `-node=${name}`,
          `-bind=127.0.0.1:${port}`,
          `-rpc-addr=127.0.0.1:${port + 1000}`,
          "-profile=lan",
          "-retry-interval=1s",
          ...joining,
        ];
      }
    }
  }

  async #build(): Promise<void> {
    await Deno.writeTextFile(join(this.#folder, "members.go"), memberlistProgram);
    const env = {
      GO111MODULE: "off",
      GOPATH: "/usr/share/gocode",
      GOFLAGS: "",
      GOCACHE: join(this.#folder, "cache"),
    };
    await run(["go", "build", "-o", "members", "members.go"], { cwd: this.#folder, env });
  }
}

/** Reads a line of a member of ours or of memberlist's. */
export function jsonLine(line: string): Omit<Heard, "atMs"> | undefined {
  if (!line.startsWith('{"by"')) return undefined;
  return JSON.parse(line);
}

/** Reads lines of the log of a Serf agent. */
export function serfLine(by: string): (line: string) => Omit<Heard, "atMs"> | undefined {
  return (line) => {
    const [, event, about] = /serf: EventMember(Join|Failed): (\S+)/.exec(line) ?? [];
    if (event === undefined) return undefined;
    return { by, type: event === "Join" ? "joined" : "failed", about: about! };
  };
}

/** Lines are read until a process ends, or for so long, ms. */
const longestRunMs = 3_600_000;

/** Several members on memberlist's public interface; ends when its standard input does. */
const memberlistProgram = `package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/hashicorp/memberlist"
)

type listener struct{ name string }

func (l listener) say(what, about string) {
	fmt.Printf("{\\"by\\":%q,\\"type\\":%q,\\"about\\":%q}\\n", l.name, what, about)
}
func (l listener) NotifyJoin(n *memberlist.Node) {
	if n.Name != l.name {
		l.say("joined", n.Name)
	}
}
func (l listener) NotifyLeave(n *memberlist.Node)  { l.say("failed", n.Name) }
func (l listener) NotifyUpdate(*memberlist.Node) {}

func main() {
	seed := os.Args[1]
	for _, member := range os.Args[2:] {
		parts := strings.SplitN(member, ":", 2)
		port, _ := strconv.Atoi(parts[1])
		config := memberlist.DefaultLANConfig()
		config.Name = parts[0]
		config.BindAddr = "127.0.0.1"
		config.BindPort = port
		config.AdvertiseAddr = "127.0.0.1"
		config.AdvertisePort = port
		config.LogOutput = io.Discard
		config.Events = listener{parts[0]}
		list, err := memberlist.Create(config)
		if err != nil {
			panic(err)
		}
		if seed != "127.0.0.1:"+parts[1] {
			if _, err := list.Join([]string{seed}); err != nil {
				panic(err)
			}
		}
	}
	io.Copy(io.Discard, os.Stdin)
}
`;
