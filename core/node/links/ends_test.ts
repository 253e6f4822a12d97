/** What the tests of links share: two ends of one link over a connection in memory. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { ExchangeHandlers, MessageHandler } from "../../contracts/peers.ts";
import type { LinkCloseReason, LinkLimits } from "@mycnet/protocols/link";
import { defaultCapabilities } from "@mycnet/protocols/negotiation";
import { connectionPair, type FakeConnection, FakeHost } from "../fakes_test.ts";
import { LatencyMeter } from "../latency/meter.ts";
import { Link } from "./link.ts";

/** The frame type that the tests use. */
export const type = 0x03ff;
/** No body. */
export const empty = new Uint8Array(0);
/** Text as a body. */
export const bytes = (text: string) => new TextEncoder().encode(text);
/** A body as text. */
export const text = (body: Uint8Array) => new TextDecoder().decode(body);

/** One end of a link, with what it was told. */
export class End {
  readonly handlers = new Map<number, MessageHandler>();
  readonly events: string[] = [];
  readonly latency = new LatencyMeter();
  link!: Link;
  reason: LinkCloseReason | undefined;

  start(
    host: FakeHost,
    connection: FakeConnection,
    role: "dialer" | "acceptor",
    limits: Partial<LinkLimits> = {},
  ) {
    this.link = Link.start({
      id: role,
      host,
      connection,
      handlers: this.handlers,
      latency: this.latency,
      options: {
        role,
        self: {
          cluster: "test",
          type: "sclerotia",
          id: role,
          generation: 1,
          version: "0.1.0",
        },
        authentication: connection.authentication,
        encryption: connection.encryption,
        capabilities: defaultCapabilities,
        profiles: {},
        addresses: [],
        nonce: host.randomBytes(16),
        digest: (input) => createHash("sha256").update(input).digest(),
        limits,
      },
      events: {
        up: () => void this.events.push("up"),
        draining: (_link, code, _message, by) => void this.events.push(`draining ${code} ${by}`),
        ack: (_link, payload) => void this.events.push(`ack ${payload.length}`),
        health: (link) => void this.events.push(`health ${link.health}`),
        down: (_link, reason) => {
          this.reason = reason;
          this.events.push("down");
        },
        gone: () => void this.events.push("gone"),
      },
    });
  }
}

/** Two ends of one link that is up. */
export async function linked(limits: Partial<LinkLimits> = {}, delayMs = 0) {
  const host = new FakeHost();
  const pair = connectionPair(host, { delayMs });
  const a = new End();
  const b = new End();
  a.start(host, pair.dialer, "dialer", limits);
  b.start(host, pair.acceptor, "acceptor", limits);
  await host.until(() => a.link.usable && b.link.usable);
  return {
    host,
    pair,
    a,
    b,
    async [Symbol.asyncDispose]() {
      a.link.destroy("the test is over");
      b.link.destroy("the test is over");
      await host.advance(20);
      await Promise.all([a.link.gone, b.link.gone]);
      assert.equal(host.pendingTimers, 0, "a timer was left behind");
    },
  };
}

/** Handlers that note what they are told. */
export function noting(notes: string[], more: Partial<ExchangeHandlers> = {}): ExchangeHandlers {
  return {
    item: (body) => void notes.push(`item ${text(body)}`),
    end: () => void notes.push("end"),
    writable: () => void notes.push("writable"),
    response: (_fields, body) => void notes.push(`response ${text(body)}`),
    failure: (_fields, body) => void notes.push(`failure ${text(body)}`),
    closed: ({ code, sent }) => void notes.push(`closed ${code} ${sent ? "sent" : "unsent"}`),
    ...more,
  };
}

/** A server that never answers. */
export const quiet = { item() {}, end() {}, writable() {}, closed() {} };
