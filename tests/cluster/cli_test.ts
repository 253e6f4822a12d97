/**
 * The path of a newcomer, with real processes and nothing but the command line
 * and HTTP: a cluster is made, two nodes run over mutual TLS, are asked, called,
 * reconfigured and stopped. One pair of nodes serves all steps.
 */
import assert from "node:assert/strict";
import { clusterTest } from "../harness/leaks.ts";
import { freePort } from "../harness/ports.ts";
import { nodeArguments, startMycnet, tempFolder } from "../harness/processes.ts";
import {
  ask,
  logged,
  logLines,
  pluginPath,
  running,
  type RunningProcess,
  served,
} from "./cluster.ts";

/** What a command printed and how it ended. */
interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** A newcomer's folder and the command line in it. */
class Desk {
  readonly folder: string;
  readonly stateDir: string;

  constructor(folder: string) {
    this.folder = folder;
    this.stateDir = `${folder}/.mycnet`;
  }

  /** Runs a command to its end. */
  async run(...args: string[]): Promise<Ran> {
    await using child = startMycnet(args, { cwd: this.folder });
    const { code } = await child.ended();
    return { code, out: child.stdout.join("\n"), err: child.stderr.join("\n") };
  }

  /** Starts a node and waits until it is up. */
  node(config: string): Promise<RunningProcess> {
    const child = startMycnet([...nodeArguments, "--config", config], { cwd: this.folder });
    return running(child, this.stateDir);
  }

  async declare(file: string, mycnet: unknown): Promise<void> {
    await Deno.writeTextFile(`${this.folder}/${file}`, JSON.stringify({ mycnet }, undefined, 2));
  }
}

/** The events of a response as `name data` lines, until `enough` of them have come. */
async function readEvents(response: Response, enough: number): Promise<string[]> {
  const events: string[] = [];
  let rest = "";
  for await (const text of response.body!.pipeThrough(new TextDecoderStream())) {
    const parts = (rest + text).split("\n\n");
    rest = parts.pop()!;
    for (const part of parts) {
      const [, name, data] = /^event: (.*)\ndata: (.*)$/.exec(part) ?? [];
      if (name !== undefined) events.push(`${name} ${data}`);
    }
    if (events.length >= enough) break; // Leaving the loop cancels the request.
  }
  return events;
}

const json = { "content-type": "application/json" };
const ports = [freePort(), freePort()];
const adaConfig = {
  node: { id: "ada", bindAddress: `127.0.0.1:${ports[0]}` },
  plugins: {
    admin: { bindAddress: "127.0.0.1:0" },
    greeter: { use: pluginPath("greeter") },
  },
};
const bobConfig = {
  node: { id: "bob", bindAddress: `127.0.0.1:${ports[1]}` },
  plugins: {
    admin: { bindAddress: "127.0.0.1:0" },
    static: { seeds: [`127.0.0.1:${ports[0]}`] },
  },
};

clusterTest("a newcomer makes a cluster, runs two nodes, asks, calls and stops them", async (t) => {
  await using folder = await tempFolder();
  const desk = new Desk(folder.path);

  await t.step("init makes keys that only their owner reads, and overwrites nothing", async () => {
    const nodes = ["--cluster", "shop", "--nodes", "ada:sclerotia,bob:rhizomorph,cat:sclerotia"];
    const made = await desk.run("init", ...nodes);
    assert.equal(made.code, 0, made.err);
    assert.match(made.out, /Created the cluster shop in \.mycnet/);
    for (const secret of ["ca.key", "nodes/ada/key.pem", "nodes/bob/admin.token"]) {
      const { mode } = await Deno.stat(`${desk.stateDir}/${secret}`);
      assert.equal(mode! & 0o777, 0o600, secret);
    }
    const again = await desk.run("init", ...nodes);
    assert.equal(again.code, 1);
    assert.match(again.err, /holds a node "ada" already/);
  });

  await t.step("a command without a running node says so and exits with 3", async () => {
    const { code, err } = await desk.run("status");
    assert.equal(code, 3);
    assert.match(err, /no node of .* is running\n {2}Start it with `mycnet node`/);
  });

  await desk.declare("deno.json", adaConfig);
  await desk.declare("bob.json", bobConfig);
  let ada = await desk.node("deno.json");
  await using stack = new AsyncDisposableStack();
  stack.defer(() => ada[Symbol.asyncDispose]()); // Whichever runs by then.
  const bob = stack.use(await desk.node("bob.json"));
  const linked = await logged(bob, "A node is linked.", { node: "ada" });
  assert.equal(linked.transport, "tls");
  await logged(ada, "A node is linked.", { node: "bob" });

  await t.step("status, peers and services tell of both nodes", async () => {
    const status = await desk.run("status", "--node", "ada");
    assert.equal(status.code, 0, status.err);
    assert.match(status.out, /node +ada \(sclerotia\) of shop\nstatus +healthy\nready +yes/);
    assert.match(status.out, /members +2 healthy, 0 degraded, 0 unhealthy\nlinks +1 up/);
    const { health, stats } = JSON.parse((await desk.run("status", "-n", "bob", "--json")).out);
    assert.deepEqual([health.node.id, stats.type, stats.links.up], ["bob", "rhizomorph", 1]);

    const peers = await desk.run("peers", "--node", "bob");
    assert.match(peers.out, /^NODE.*\nada +sclerotia +alive +healthy +1 .* adaptive /);
    const { peers: [one] } = JSON.parse((await desk.run("peers", "--json", "-n", "ada")).out);
    assert.equal(one.links[0].profile.inForce.encryption, "standard");

    const services = await desk.run("services", "--node", "bob");
    assert.match(
      services.out,
      /^SERVICE.*\ngreeter +1 +ada +hello, hold!, count \(stream\)!, who$/,
    );
  });

  await t.step("call answers, streams, and says what is wrong with an input", async () => {
    const hello = await desk.run("call", "greeter/hello", "name=Ada", "--node", "bob");
    assert.equal(hello.out, '"Hello, Ada, from ada"', hello.err);
    const count = await desk.run("call", "greeter/count", '{"to": 3}', "-n", "bob", "--json");
    assert.deepEqual([count.code, count.out], [0, "1\n2\n3"]);
    const wrong = await desk.run("call", "greeter/hello", "name:=7", "-n", "bob", "--json");
    assert.equal(wrong.code, 1);
    const { error } = JSON.parse(wrong.err);
    assert.equal(error.code, "invalid_argument");
    assert.match(error.message, /name/);
  });

  await t.step("Ctrl-C on a stream cancels it at the node that serves it", async () => {
    await using calling = startMycnet(["call", "greeter/count", "to:=100000", "-n", "bob"], {
      cwd: desk.folder,
    });
    await calling.line("the third item", (line) => line === "3" || undefined);
    calling.signal("SIGINT");
    assert.equal((await calling.ended()).code, 130);
    await logged(ada, "counted", { aborted: true });
  });

  await t.step("exit codes tell misuse, ambiguity and refusal apart", async () => {
    const typo = await desk.run("statsu");
    assert.equal(typo.code, 2);
    assert.match(typo.err, /did you mean "status"/);
    const ambiguous = await desk.run("peers");
    assert.equal(ambiguous.code, 2);
    assert.match(ambiguous.err, /2 nodes are running here: ada, bob\n {2}Say which one/);
    const refused = await desk.run("peers", "-n", "ada", "--token", "x".repeat(32));
    assert.equal(refused.code, 4);
    assert.match(refused.err, /not this node's/);
  });

  await t.step(
    "a node that runs, a port in use and a mistake in the configuration end a node with the cause",
    async () => {
      const twice = await desk.run("node", "--config", "deno.json");
      assert.equal(twice.code, 1);
      assert.match(twice.err, /node "ada" runs already: process \d+ holds/);
      await desk.declare("busy.json", { ...adaConfig, node: { ...adaConfig.node, id: "cat" } });
      const busy = await desk.run("node", "--config", "busy.json");
      assert.equal(busy.code, 1);
      assert.match(busy.err, new RegExp(`127.0.0.1:${ports[0]} is in use`));
      await desk.declare("wrong.json", { ...bobConfig, plugins: { rond_robin: {} } });
      const wrong = await desk.run("node", "--config", "wrong.json");
      assert.equal(wrong.code, 1);
      assert.match(wrong.err, /mycnet\.plugins\.rond_robin.*did you mean "round_robin"/);
    },
  );

  await t.step("over HTTP nothing is told without the token, and probes are empty", async () => {
    for (const path of ["/api/v1/network/health", "/api/v1/network/leave", "/services", "/zz"]) {
      const response = await fetch(`${ada.admin}${path}`);
      const problem = await response.json();
      assert.deepEqual([response.status, problem.code], [401, "unauthenticated"], path);
      assert.match(response.headers.get("content-type")!, /^application\/problem\+json/);
    }
    for (const probe of ["/livez", "/readyz"]) {
      const response = await fetch(`${ada.admin}${probe}`);
      assert.deepEqual([response.status, await response.text()], [200, ""]);
    }
    const topology = await (await ask(ada, "/api/v1/network/topology")).json();
    assert.deepEqual([topology.localNode, topology.clusterSize], ["ada", 2]);
    const peer = await (await ask(ada, "/api/v1/network/peers/bob")).json();
    assert.deepEqual([peer.id, peer.state], ["bob", "alive"]);
    for (const path of ["stats", "node/bob/health", "plugins"]) {
      const response = await ask(ada, `/api/v1/network/${path}`);
      assert.equal(response.status, 200, path);
      await response.body?.cancel();
    }
    const nobody = await ask(ada, "/api/v1/network/peers/zz");
    assert.deepEqual([nobody.status, (await nobody.json()).code], [404, "unknown_peer"]);
  });

  await t.step(
    "the gateway answers a POST, streams as events, and cancels with its client",
    async () => {
      const post = (path: string, input: unknown) =>
        ask(bob, path, { method: "POST", headers: json, body: JSON.stringify(input) });
      const hello = await post("/services/greeter/hello", { name: "Bob" });
      assert.equal(await hello.json(), "Hello, Bob, from ada");
      const wrong = await post("/services/greeter/hello", { name: 7 });
      assert.equal(wrong.status, 400);
      const problem = await wrong.json();
      assert.equal(problem.code, "invalid_argument");
      const short = await post("/services/greeter/count", { to: 2 });
      assert.match(short.headers.get("content-type")!, /^text\/event-stream/);
      assert.deepEqual(await readEvents(short, Infinity), ["item 1", "item 2", "end {}"]);
      const before = logLines(ada).filter((it) => it.message === "counted").length;
      assert.equal(
        (await readEvents(await post("/services/greeter/count", { to: 1e6 }), 2)).length >= 2,
        true,
      );
      let seen = 0;
      await ada.child.log("that the abandoned stream ended", (line) => {
        if (line.message !== "counted" || seen++ < before) return undefined;
        return line.aborted === true || undefined;
      });
    },
  );

  await t.step("an edited configuration is taken over, and cuts no link", async () => {
    const { links: [link] } = await (await ask(bob, "/api/v1/network/peers/ada")).json();
    await desk.declare("bob.json", {
      ...bobConfig,
      plugins: {
        ...bobConfig.plugins,
        static: {
          seeds: [`127.0.0.1:${ports[0]}`, { id: "ada", address: `localhost:${ports[0]}` }],
        },
        turns: { use: "round_robin" },
      },
    });
    const taken = await logged(bob, "The changed configuration was taken over");
    assert.deepEqual([taken.started, taken.stopped, taken.reconfigured], [["turns"], [], [
      "static",
    ]]);
    await Deno.writeTextFile(`${desk.folder}/bob.json`, '{"mycnet": {"node": {"id": "bob",}');
    const broken = await logged(
      bob,
      "The changed configuration was not taken over; the node runs on as it was",
      { code: "config_unreadable" },
    );
    assert.match(String(broken.error), /bob\.json:1:\d+: \w+/);
    await desk.declare("bob.json", { ...bobConfig, node: { ...bobConfig.node, bindAdress: "x" } });
    await bob.child.log(
      "what is wrong with the second edit",
      (line) => /bindAdress.*did you mean "bindAddress"/.test(String(line.error)) || undefined,
    );
    const { links } = await (await ask(bob, "/api/v1/network/peers/ada")).json();
    assert.deepEqual(links.map((it: { id: string }) => it.id), [link.id]);
    const hello = await desk.run("call", "greeter/hello", "name=x", "-n", "bob");
    assert.equal(hello.code, 0, hello.err);
  });

  /** A call that takes `after` ms and is under way at ada, by way of bob. */
  const holding = async (after: number): Promise<{ readonly answer: Promise<Response> }> => {
    const answer = ask(bob, "/services/greeter/hold", {
      method: "POST",
      headers: { ...json, "mycnet-timeout": "60s" },
      body: JSON.stringify({ after }),
    });
    await logged(ada, "holding");
    return { answer };
  };
  const restart = async () => {
    await ada[Symbol.asyncDispose]();
    ada = await desk.node("deno.json");
    await served(bob, "greeter");
  };

  await t.step(
    "leave, over HTTP, finishes the call under way, and the node exits with 0",
    async () => {
      const { answer } = await holding(300);
      const left = await ask(ada, "/api/v1/network/leave", {
        method: "POST",
        headers: json,
        body: '{"reason": "moving house"}',
      });
      assert.equal(left.status, 202);
      assert.deepEqual(await left.json(), { leaving: true, reason: "moving house" });
      assert.equal(await (await answer).json(), "held by ada");
      assert.equal((await ada.child.ended()).code, 0);
      const gone = await logged(bob, "A node is linked no more.", { node: "ada" });
      assert.equal(gone.state, "left");
      const { peers: [peer] } = await (await ask(bob, "/api/v1/network/peers")).json();
      assert.deepEqual([peer.id, peer.state], ["ada", "left"]);
    },
  );

  await t.step("SIGTERM finishes the call under way, and the node exits with 0", async () => {
    await restart();
    const { answer } = await holding(300);
    ada.child.signal("SIGTERM");
    assert.equal(await (await answer).json(), "held by ada");
    const { code } = await ada.child.ended();
    assert.equal(code, 0);
    const stopped = await ada.child.json(
      "its end",
      (it) => it.event === "stopped" ? it : undefined,
    );
    assert.equal(stopped.reason, "SIGTERM");
  });

  await t.step("a second SIGTERM does not wait for the call under way", async () => {
    await restart();
    const { answer } = await holding(30_000);
    ada.child.signal("SIGTERM");
    await logged(ada, "The node is stopping");
    const before = performance.now();
    ada.child.signal("SIGTERM");
    assert.equal((await ada.child.ended()).code, 130);
    assert.ok(performance.now() - before < 1500, "the drain takes 5 s");
    const lost = await answer;
    assert.equal(lost.status, 503);
    const { code, mayHaveRun } = await lost.json();
    assert.deepEqual([code, mayHaveRun], ["link_lost", true]);
  });
});
