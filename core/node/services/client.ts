/** The client of a service: a plain object with a function for each method. */
import type { CallOptions } from "../../contracts/services.ts";
import { parseDuration } from "../../kernel/duration.ts";
import type { MethodTarget } from "./attempts.ts";
import type { CallArguments, Caller, ClientOptions } from "./caller.ts";
import { makingCalls } from "./context.ts";
import {
  type Client,
  type ErrorSchemas,
  kindOf,
  type Methods,
  type ServiceDefinition,
} from "./define.ts";
import { type RoutingTarget, routingTarget } from "./routing.ts";

type Items = AsyncIterable<unknown> | Iterable<unknown>;

/** Makes one. Options are checked now, and a balancer's name at each call. */
export function makeClient<M extends Methods, E extends ErrorSchemas>(
  caller: Caller,
  definition: ServiceDefinition<M, E>,
  options?: ClientOptions,
): Client<ServiceDefinition<M, E>> {
  makingCalls();
  const defaults = caller.defaults(options);
  const routing = routingTarget(definition.name, definition.version);
  const client: Record<string, unknown> = {};
  for (const name of Object.keys(definition.methods)) {
    const target = methodTarget(definition, name, routing);
    const call = target.streams
      ? (args: CallArguments) => caller.stream(target, defaults, args)
      : (args: CallArguments) => caller.unary(target, defaults, args);
    client[name] = target.uploads
      ? (input: unknown, items: Items, options?: CallOptions) => call({ input, items, options })
      : (input: unknown, options?: CallOptions) => call({ input, options });
  }
  return client as unknown as Client<ServiceDefinition<M, E>>;
}

function methodTarget(
  definition: ServiceDefinition,
  name: string,
  routing: RoutingTarget,
): MethodTarget {
  const method = definition.methods[name];
  return {
    routing,
    service: definition.name,
    method: name,
    route: `${definition.name}/${name}`,
    kind: kindOf(method),
    idempotent: method.idempotent ?? false,
    streams: method.stream !== undefined,
    uploads: method.upload !== undefined,
    timeoutMs: method.timeout === undefined ? undefined : parseDuration(method.timeout),
  };
}
