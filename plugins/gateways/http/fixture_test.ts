/** A gateway over an admin endpoint without a socket, for the tests of this room. */
import assert from "node:assert/strict";
import { AdminFixture } from "../../../core/admin/fakes_test.ts";
import type { Admin } from "../../../core/contracts/admin.ts";
import type { CallOptions, MethodDescription } from "../../../core/contracts/services.ts";
import httpGateway from "../http.ts";

type Upload = { readonly upload?: AsyncIterable<unknown> };

/** A method as the directory describes it. */
export function method(name: string, other: Partial<MethodDescription> = {}): MethodDescription {
  return { name, kind: "unary", idempotent: true, ...other };
}

/** A gateway over services that a test writes as functions. */
export class GatewayFixture extends AdminFixture {
  readonly calls: { method: string; input: unknown; options: CallOptions }[] = [];
  readonly waits: { service: string; timeoutMs: number }[] = [];
  /** How waiting for a service ends. */
  arrival: (signal: AbortSignal) => Promise<boolean> = () => Promise.resolve(false);
  /** Answers calls by method. */
  answers: Record<string, (input: unknown, options: CallOptions & Upload) => unknown> = {};
  /** Answers streams by method. */
  streams: Record<
    string,
    (input: unknown, options: CallOptions & Upload) => AsyncIterable<unknown>
  > = {};

  async open(config: object = {}): Promise<Admin> {
    this.node.services = {
      list: () => [{
        service: {
          name: "greeter",
          version: 1,
          methods: [
            method("hello", { input: { type: "object" }, output: { type: "string" } }),
            method("tail", { kind: "stream", streamItem: { type: "string" } }),
            method("sum", { kind: "upload", idempotent: false }),
            method("echo", { kind: "duplex" }),
          ],
        },
        nodes: ["b", "c"],
      }],
      appears: (service, { timeoutMs, signal }) => {
        this.waits.push({ service, timeoutMs });
        return this.arrival(signal!);
      },
      call: async (_service, method, input, options = {}) => {
        this.calls.push({ method, input, options });
        return await this.answers[method](input, options);
      },
      stream: (_service, method, input, options = {}) => {
        this.calls.push({ method, input, options });
        return this.streams[method](input, options);
      },
    };
    return await this.runPure([{ id: "http-gateway", plugin: httpGateway, config }]);
  }
}

/** Checks that an answer is a problem of that status and code, and gives it. */
export async function refused(response: Response, status: number, code: string) {
  const document = await response.json();
  assert.equal(response.status, status, JSON.stringify(document));
  assert.equal(response.headers.get("content-type"), "application/problem+json");
  assert.equal(document.code, code);
  return document;
}
