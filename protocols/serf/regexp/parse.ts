/**
 * Regular expressions from the network, parsed: the part of Go's syntax (RE2) that
 * people write in filters.
 *
 * Literals, `.`, classes with ranges, `\d \w \s` and their opposites, groups,
 * alternatives, `* + ? {m,n}` (lazy ones too), `^ $ \A \z \b \B`, and the flags i
 * and s. Backreferences and lookaround do not exist in RE2; Unicode and POSIX
 * classes and multi-line mode are refused with a reason. Lengths are bounded here,
 * so that recursion is; program.ts bounds the rest.
 */

/** The longest expression, in UTF-16 code units. */
export const maxExpression = 256;
/** The largest number in braces, as RE2 has it. */
const maxRepeat = 1000;
const maxCodePoint = 0x10ffff;

/** An expression that is wrong, not supported, or too expensive. */
export class RegexpError extends Error {
  /** Makes one. */
  constructor(message: string) {
    super(message);
    this.name = "RegexpError";
  }
}

/** A set of characters: pairs of first and last code point. */
export interface CharSet {
  readonly kind: "set";
  readonly ranges: readonly number[];
  readonly negated: boolean;
  readonly fold: boolean;
}

/** What must hold between two characters. */
export interface Assertion {
  readonly kind: "assert";
  readonly what: "start" | "end" | "word" | "notWord";
}

/** A piece of an expression. */
export type Node =
  | CharSet
  | Assertion
  | { readonly kind: "sequence"; readonly items: readonly Node[] }
  | { readonly kind: "either"; readonly items: readonly Node[] }
  | { readonly kind: "repeat"; readonly item: Node; readonly min: number; readonly max: number };

const digits = [0x30, 0x39];
const words = [0x30, 0x39, 0x41, 0x5a, 0x5f, 0x5f, 0x61, 0x7a];
const spaces = [0x09, 0x0a, 0x0c, 0x0d, 0x20, 0x20];
const controls: Readonly<Record<string, number>> = { t: 9, n: 10, v: 11, f: 12, r: 13, a: 7 };

/** Parses an expression. @throws {RegexpError} */
export function parseRegexp(text: string): Node {
  if (text.length > maxExpression) {
    throw new RegexpError(`${text.length} characters, at most ${maxExpression}`);
  }
  return new Parser(text).parse();
}

/** The code points that are in none of the ranges. */
function complement(ranges: readonly number[]): number[] {
  const sorted: [number, number][] = [];
  for (let i = 0; i < ranges.length; i += 2) sorted.push([ranges[i]!, ranges[i + 1]!]);
  sorted.sort((a, b) => a[0] - b[0]);
  const rest: number[] = [];
  let from = 0;
  for (const [first, last] of sorted) {
    if (first > from) rest.push(from, first - 1);
    from = Math.max(from, last + 1);
  }
  if (from <= maxCodePoint) rest.push(from, maxCodePoint);
  return rest;
}

class Parser {
  readonly #chars: string[];
  #at = 0;
  #fold = false;
  #dotAll = false;

  constructor(text: string) {
    this.#chars = [...text];
  }

  parse(): Node {
    const node = this.#either();
    if (this.#at < this.#chars.length) throw new RegexpError("an unopened )");
    return node;
  }

  #peek(): string | undefined {
    return this.#chars[this.#at];
  }

  #take(wanted: string): boolean {
    if (this.#chars[this.#at] !== wanted) return false;
    this.#at++;
    return true;
  }

  #next(): string {
    const char = this.#chars[this.#at++];
    if (char === undefined) throw new RegexpError("it ends too early");
    return char;
  }

  #either(): Node {
    const items = [this.#sequence()];
    while (this.#take("|")) items.push(this.#sequence());
    return items.length === 1 ? items[0]! : { kind: "either", items };
  }

  #sequence(): Node {
    const items: Node[] = [];
    for (let char = this.#peek(); char !== undefined; char = this.#peek()) {
      if (char === "|" || char === ")") break;
      const item = this.#atom();
      if (item !== undefined) items.push(this.#repeated(item));
    }
    return { kind: "sequence", items };
  }

  #repeated(item: Node): Node {
    const bounds = this.#bounds();
    if (bounds === undefined) return item;
    this.#take("?"); // Lazy: finds the same, only other ends of it.
    const before = this.#at;
    if (this.#bounds() !== undefined) {
      throw new RegexpError(`a repetition of a repetition at character ${before + 1}`);
    }
    return { kind: "repeat", item, min: bounds[0], max: bounds[1] };
  }

  #bounds(): [number, number] | undefined {
    if (this.#take("*")) return [0, Infinity];
    if (this.#take("+")) return [1, Infinity];
    if (this.#take("?")) return [0, 1];
    const match = /^\{(\d{1,4})(,(\d{0,4}))?\}/.exec(
      this.#chars.slice(this.#at, this.#at + 12).join(""),
    );
    if (match === null) return undefined; // A brace that is no count stands for itself.
    this.#at += match[0].length;
    const min = Number(match[1]);
    const max = match[2] === undefined ? min : match[3] === "" ? Infinity : Number(match[3]);
    if (min > max || min > maxRepeat || (max !== Infinity && max > maxRepeat)) {
      throw new RegexpError(`an impossible repetition ${match[0]}`);
    }
    return [min, max];
  }

  /** Undefined: it was only a change of flags. */
  #atom(): Node | undefined {
    const char = this.#next();
    switch (char) {
      case "(":
        return this.#group();
      case "[":
        return this.#set();
      case ".":
        return this.#charSet(this.#dotAll ? [] : [10, 10], true);
      case "^":
        return { kind: "assert", what: "start" };
      case "$":
        return { kind: "assert", what: "end" };
      case "\\":
        return this.#escape();
      case "*":
      case "+":
      case "?":
        throw new RegexpError(`nothing to repeat before "${char}"`);
    }
    return this.#literal(char.codePointAt(0)!);
  }

  #charSet(ranges: readonly number[], negated = false): CharSet {
    return { kind: "set", ranges, negated, fold: this.#fold };
  }

  #literal(code: number): CharSet {
    return this.#charSet([code, code]);
  }

  #group(): Node | undefined {
    const fold = this.#fold;
    const dotAll = this.#dotAll;
    if (this.#take("?")) {
      if (this.#peek() === "P" || this.#peek() === "<") {
        this.#take("P");
        if (!this.#take("<")) throw new RegexpError("an unknown kind of group");
        while (/^\w$/.test(this.#peek() ?? "")) this.#at++;
        if (!this.#take(">")) throw new RegexpError("a group's name without its end");
      } else if (this.#flags()) return undefined;
    }
    const node = this.#either();
    if (!this.#take(")")) throw new RegexpError("a ( without its )");
    this.#fold = fold;
    this.#dotAll = dotAll;
    return node;
  }

  /** True if the group is closed already, so that the flags hold for what follows. */
  #flags(): boolean {
    let value = true;
    while (true) {
      const char = this.#next();
      if (char === ":") return false;
      if (char === ")") return true;
      if (char === "-") value = false;
      else if (char === "i") this.#fold = value;
      else if (char === "s") this.#dotAll = value;
      else throw new RegexpError(`the flag or group (?${char} is not supported`);
    }
  }

  #escape(): Node {
    const char = this.#next();
    if (char === "A") return { kind: "assert", what: "start" };
    if (char === "z") return { kind: "assert", what: "end" };
    if (char === "b") return { kind: "assert", what: "word" };
    if (char === "B") return { kind: "assert", what: "notWord" };
    const ranges = this.#escaped(char);
    return this.#charSet(ranges);
  }

  /** What an escape stands for, in a class or outside. */
  #escaped(char: string): readonly number[] {
    switch (char) {
      case "d":
        return digits;
      case "D":
        return complement(digits);
      case "w":
        return words;
      case "W":
        return complement(words);
      case "s":
        return spaces;
      case "S":
        return complement(spaces);
      case "x": {
        const code = this.#hex();
        return [code, code];
      }
    }
    const control = controls[char];
    if (control !== undefined) return [control, control];
    if (/^[A-Za-z0-9]$/.test(char)) throw new RegexpError(`\\${char} is not supported`);
    const code = char.codePointAt(0)!;
    return [code, code];
  }

  #hex(): number {
    let digits = "";
    if (this.#take("{")) {
      while (!this.#take("}")) digits += this.#next();
    } else digits = this.#next() + this.#next();
    const code = parseInt(digits, 16);
    if (!/^[0-9A-Fa-f]{1,6}$/.test(digits) || code > maxCodePoint) {
      throw new RegexpError(`\\x${digits} is no character`);
    }
    return code;
  }

  #set(): CharSet {
    const negated = this.#take("^");
    const ranges: number[] = [];
    for (let first = true; first || this.#peek() !== "]"; first = false) {
      const char = this.#next();
      if (char === "[" && this.#peek() === ":") {
        throw new RegexpError("classes such as [:alpha:] are not supported: write their ranges");
      }
      const from = char === "\\" ? this.#escaped(this.#next()) : [char.codePointAt(0)!];
      if (from.length !== 1 && !(from.length === 2 && from[0] === from[1])) {
        ranges.push(...from);
        continue;
      }
      let to = from[0]!;
      if (this.#peek() === "-" && this.#chars[this.#at + 1] !== "]") {
        this.#at++;
        const last = this.#next();
        const end = last === "\\" ? this.#escaped(this.#next()) : [last.codePointAt(0)!];
        to = end[0]!;
        if (end.length > 1 && end[0] !== end[1] || to < from[0]!) {
          throw new RegexpError("a range that ends before it starts");
        }
      }
      ranges.push(from[0]!, to);
    }
    this.#at++;
    return this.#charSet(ranges, negated);
  }
}
