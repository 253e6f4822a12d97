/** Newline-delimited JSON as it comes in: one value a line, blank lines skipped. */
import { invalidFields } from "../../../core/admin/mod.ts";
import { fromJsonValue } from "./json_values.ts";

/** The media type. */
export const ndjsonType = "application/x-ndjson";

function parseLine(line: string, number: number): unknown {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    throw invalidFields([{ field: `line ${number}`, message: (error as Error).message }]);
  }
  return fromJsonValue(value, `line ${number}`);
}

/**
 * The values of a body. What is held at a time is one line; the endpoint bounds the body.
 * @throws `invalid_argument` naming the line.
 */
export async function* readNdjson(body: ReadableStream<Uint8Array>): AsyncGenerator<unknown> {
  let number = 0;
  let rest = "";
  const decoder = new TextDecoder();
  const take = function* (text: string): Generator<unknown> {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    for (const line of lines) {
      number++;
      if (line.trim() !== "") yield parseLine(line, number);
    }
  };
  for await (const chunk of body) yield* take(decoder.decode(chunk, { stream: true }));
  yield* take(`${decoder.decode()}\n`);
}
