/**
 * Definitions of typed messages: a name, what a message of that name says, and what answers it.
 *
 * A definition is data that both sides share, as a service's is. What one
 * sends, its schema checks before anything leaves; what arrives, the same
 * schema checks again, since it came over a network. A sender writes the
 * schema's input type; a receiver reads its output type.
 */
import { MycnetError } from "../../kernel/errors.ts";
import type { SchemaInput, SchemaOutput } from "../../kernel/schema.ts";
import type { MessageContext } from "../../contracts/messenger.ts";
import type { AnySchema } from "../services/define.ts";

/** A kind of message. Made by {@linkcode defineMessage}; those of the registry are in {@linkcode messages}. */
export interface MessageDefinition<
  S extends AnySchema = AnySchema,
  R extends AnySchema | undefined = AnySchema | undefined,
> {
  /** The name that it is sent under. */
  readonly name: string;
  /** Of what it says. */
  readonly schema: S;
  /** Of what answers a request of it; undefined when nothing does. */
  readonly reply: R;
}

/** A kind of message that can be asked. */
export type RequestDefinition = MessageDefinition<AnySchema, AnySchema>;

/** What one writes to send a message. */
export type MessageValue<D extends MessageDefinition> = SchemaInput<D["schema"]>;

/** What one reads of a message. */
export type ReceivedValue<D extends MessageDefinition> = SchemaOutput<D["schema"]>;

/** What a handler answers with; nothing, for a message without a reply. */
export type ReplyValue<D extends MessageDefinition> = D["reply"] extends AnySchema
  ? SchemaInput<D["reply"]>
  : void;

/** What an asker reads of the answer. */
export type ReceivedReply<D extends RequestDefinition> = SchemaOutput<D["reply"]>;

/** Handles a kind of message. */
export type MessageHandlerOf<D extends MessageDefinition> = (
  value: ReceivedValue<D>,
  context: MessageContext,
) => ReplyValue<D> | Promise<ReplyValue<D>>;

/** The longest name in bytes of UTF-8, with its prefix: what a frame carries as a route. */
const longestName = "custom.".length + 255;

/**
 * Defines a kind of message of one's own.
 *
 * @example
 * ```ts
 * import { z } from "zod";
 * import { defineMessage } from "./define.ts";
 *
 * const note = defineMessage("custom.note", z.object({ text: z.string().max(1000) }));
 * const ping = defineMessage("custom.ping", z.object({ n: z.int() }), z.object({ n: z.int() }));
 * console.log(note.name, ping.reply !== undefined);
 * ```
 * @param name `custom.` and at most 255 bytes of one's own choosing.
 * @param schema zod, valibot, arktype or the like.
 * @param reply of the answer, when a request of it is answered.
 * @throws {MycnetError} `invalid_argument`, naming what is wrong.
 */
export function defineMessage<S extends AnySchema, R extends AnySchema | undefined = undefined>(
  name: string,
  schema: S,
  reply?: R,
): MessageDefinition<S, R> {
  const length = typeof name === "string" ? new TextEncoder().encode(name).length : 0;
  if (length <= "custom.".length || length > longestName || !name.startsWith("custom.")) {
    throw invalid(
      `the message name ${JSON.stringify(name)} is not "custom." and at most 255 bytes after it`,
    );
  }
  checkSchema(`${name}: schema`, schema);
  if (reply !== undefined) checkSchema(`${name}: reply`, reply);
  return Object.freeze({ name, schema, reply: reply as R });
}

function checkSchema(where: string, schema: AnySchema): void {
  if (typeof schema?.["~standard"]?.validate === "function") return;
  throw invalid(`${where} is not a schema; give one of zod, valibot, arktype or the like`);
}

function invalid(message: string): MycnetError {
  return new MycnetError("invalid_argument", message);
}
