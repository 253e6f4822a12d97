/**
 * JSON with comments, and what is wrong with a text that is not: a module of its
 * own, since most files are plain JSON and its library takes a while to load.
 */
import { parse, type ParseError, printParseErrorCode, visit } from "jsonc-parser";
import { MycnetError } from "../../kernel/errors.ts";

/** Line and column, from 1, of an offset. */
function position(text: string, offset: number): string {
  const before = text.slice(0, offset).split("\n");
  return `${before.length}:${before[before.length - 1].length + 1}`;
}

/** `"PropertyNameExpected"` as `"property name expected"`. */
function words(code: string): string {
  return code.replaceAll(/(?!^)[A-Z]/g, (letter) => ` ${letter}`).toLowerCase();
}

/** The offset of a `__proto__` under the `mycnet` key: the parser would make it the prototype and lose it. */
function prototypeKey(text: string): number | undefined {
  let found: number | undefined;
  visit(text, {
    onObjectProperty(name, offset, _length, _line, _column, path) {
      if (name === "__proto__" && path()[0] === "mycnet") found ??= offset;
    },
  }, { allowTrailingComma: true });
  return found;
}

/**
 * The value of a text.
 * @throws `config_unreadable` when it is not JSON with comments, `config_invalid` for a key that
 * no object can have.
 */
export function parseJsonc(text: string, path: string): unknown {
  const errors: ParseError[] = [];
  const whole = parse(text, errors, { allowTrailingComma: true }) as unknown;
  if (errors.length > 0) {
    const { error, offset } = errors[0];
    throw new MycnetError(
      "config_unreadable",
      `${path}:${position(text, offset)}: ${words(printParseErrorCode(error))}`,
    );
  }
  const prototype = prototypeKey(text);
  if (prototype !== undefined) {
    throw new MycnetError(
      "config_invalid",
      `${path}:${position(text, prototype)}: unknown key "__proto__"`,
    );
  }
  return whole;
}
