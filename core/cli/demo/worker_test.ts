import assert from "node:assert/strict";
import { clusterTest } from "../../../tests/harness/leaks.ts";
import { createHost } from "../../kernel/real_host.ts";
import { TestNodes } from "../../node/test_nodes_test.ts";
import type { LoadReport, Report } from "./reports.ts";
import { callQuotes, serveQuotes } from "./worker.ts";

clusterTest(
  "the client answers for every call that it made, and a server that leaves on purpose is no loss",
  async () => {
    const nodes = new TestNodes();
    const over = new AbortController();
    const clientOver = new AbortController();
    const reports: Report[] = [];
    const waiting = new Set<() => void>();
    const tell = (report: Report) => {
      reports.push(report);
      for (const check of waiting) check();
    };
    const until = (condition: () => boolean) =>
      new Promise<void>((resolve) => {
        const check = () => {
          if (!condition()) return;
          waiting.delete(check);
          resolve();
        };
        waiting.add(check);
        check();
      });
    const load = () => reports.findLast((it): it is LoadReport => it.kind === "load");
    const answered = (why: string, about: string) =>
      reports.some((it) => it.kind === "answer" && it.why === why && it.about === about);

    const oak = serveQuotes(await nodes.start("oak"), () => {}, over.signal);
    let elmOver = new AbortController();
    let elm = serveQuotes(await nodes.start("elm"), () => {}, elmOver.signal);
    const client = await nodes.start("client", {
      node: { type: "hyphae" },
      plugins: { static: { seeds: ["memory://oak", "memory://elm"] } },
    });
    const calling = callQuotes(client, createHost(), tell, clientOver.signal);
    await until(() => (load()?.byNode.elm ?? 0) > 0 && (load()?.byNode.oak ?? 0) > 0);
    assert.ok(
      load()!.links.every((it) => it.transport === "memory" && it.profile === "lightweight"),
    );

    // It leaves on purpose, so nothing has been lost.
    elmOver.abort();
    await elm;
    elmOver = new AbortController();
    elm = serveQuotes(await nodes.start("elm"), () => {}, elmOver.signal);
    const before = load()!.byNode.elm;
    await until(() => load()!.byNode.elm > before);
    assert.ok(!answered("back", "elm"));

    clientOver.abort();
    await calling;
    over.abort();
    elmOver.abort();
    await Promise.all([oak, elm]);
    const last = load()!;
    assert.equal(last.failed, 0, last.firstFailure);
    assert.equal(last.made, last.answered);
    assert.ok(last.p50Ms > 0 && last.p99Ms >= last.p50Ms);
  },
);
