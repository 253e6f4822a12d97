/**
 * Between typed messages and the messenger's bytes.
 *
 * On the way out a value is checked by its schema, so that a mistake is told to
 * whoever made it, with the field's name, and then sent as it was written; the
 * other side parses it again. On the way in nothing is believed: what is no
 * MessagePack, or what the schema refuses, never reaches the handler. It is
 * counted, and a request gets an `invalid_argument` that names the field.
 * Large fields of bytes are copied once on the way out and not at all on the
 * way in: the handler gets views of what the messenger gave it.
 */
import type { NamedHandler } from "../../contracts/messenger.ts";
import { MycnetError } from "../../kernel/errors.ts";
import { CodecError, decodeViews, encode } from "@mycnet/protocols/codec";
import type { AnySchema } from "../services/define.ts";
import { parseValue, problemsOf, sentenceOf } from "../services/schemas.ts";
import type { MessageDefinition, MessageHandlerOf, RequestDefinition } from "./define.ts";

/**
 * A value as the bytes of its message.
 * @throws {MycnetError} `invalid_argument`, naming the field.
 */
export async function toBytes(
  { name, schema }: MessageDefinition,
  value: unknown,
): Promise<Uint8Array<ArrayBuffer>> {
  const parsed = await parseValue(schema, value);
  if (parsed.issues !== undefined) {
    const problems = sentenceOf(problemsOf(parsed.issues));
    throw new MycnetError("invalid_argument", `"${name}" is not sent: ${problems}`);
  }
  return encoded(value, `"${name}"`);
}

/** What an answer says. @throws {MycnetError} `internal` if it is not what the definition promises. */
export async function replyOf(
  { name, reply }: RequestDefinition,
  bytes: Uint8Array,
): Promise<unknown> {
  return await read(reply, bytes, (problems) => {
    throw new MycnetError("internal", `the answer to "${name}" is not one: ${problems}`);
  });
}

/** @throws {MycnetError} `invalid_argument` for a message that nothing answers. */
export function checkAskable({ name, reply }: MessageDefinition): void {
  if (reply !== undefined) return;
  throw new MycnetError(
    "invalid_argument",
    `nothing answers "${name}": its definition has no reply`,
  );
}

/**
 * The handler of bytes that a typed handler makes.
 * @param refused runs for each message that is not what its definition says.
 */
export function bytesHandler<D extends MessageDefinition>(
  definition: D,
  handler: MessageHandlerOf<D>,
  refused: () => void,
): NamedHandler {
  const { name, schema, reply } = definition;
  const refuse = (problems: string): never => {
    refused();
    throw new MycnetError("invalid_argument", `"${name}" is refused: ${problems}`);
  };
  const answer = (value: unknown) => {
    if (reply === undefined) return undefined;
    return after(parseValue(reply, value), (parsed) => {
      if (parsed.issues === undefined) return encoded(value, `the answer to "${name}"`);
      const problems = sentenceOf(problemsOf(parsed.issues));
      throw new Error(`the handler of "${name}" answered what its schema refuses: ${problems}`);
    });
  };
  return (bytes, context) =>
    after(
      read(schema, bytes, refuse),
      (value) => after(handler(value as never, context) as unknown, answer),
    ) as ReturnType<NamedHandler>;
}

/** What bytes say, by a schema. Never a promise unless the schema gives one. */
function read(
  schema: AnySchema,
  bytes: Uint8Array,
  refuse: (problems: string) => never,
): unknown {
  let value: unknown;
  try {
    value = decodeViews(bytes);
  } catch (error) {
    if (!(error instanceof CodecError)) throw error;
    refuse(error.message);
  }
  return after(
    parseValue(schema, value),
    (it) => it.issues === undefined ? it.value : refuse(sentenceOf(problemsOf(it.issues))),
  );
}

/** Goes on at once if it can: a message whose schema and handler are synchronous takes no promise. */
function after<T, R>(value: T | Promise<T>, next: (value: T) => R): R | Promise<Awaited<R>> {
  return value instanceof Promise ? value.then(next) as Promise<Awaited<R>> : next(value);
}

function encoded(value: unknown, what: string): Uint8Array<ArrayBuffer> {
  try {
    return encode(value, what);
  } catch (error) {
    throw new MycnetError("invalid_argument", (error as Error).message, { cause: error });
  }
}
