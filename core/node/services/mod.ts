/**
 * Services: definitions that both sides share, serving and calling them, and
 * the directory of who serves what.
 */
export type { CallContext, UploadContext } from "./context.ts";
export {
  type AnySchema,
  type Client,
  type ClientMethod,
  defineService,
  type ErrorSchemas,
  type Handler,
  type HandlerContext,
  type HandlerResult,
  type Handlers,
  type InputFunction,
  type MethodBase,
  type MethodDefinition,
  type MethodResult,
  type Methods,
  type ServiceDefinition,
  type ServiceParts,
  type StreamMethod,
  type UnaryMethod,
  type UploadItems,
} from "./define.ts";
export {
  CallError,
  type CallFailure,
  isServiceError,
  type ServiceError,
  serviceError,
} from "./errors.ts";
export type { ClientOptions, RouteOptions } from "./caller.ts";
export type { Middleware, MiddlewareCall } from "./middleware.ts";
export { type ServeOptions, type ServiceLayer, serviceLayer } from "./layer.ts";
export { default, servicesPlugin } from "./plugin.ts";
