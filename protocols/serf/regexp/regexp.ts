/**
 * Matches regular expressions from the network in linear time.
 *
 * A backtracking engine, such as JavaScript's, can be kept busy for years by thirty
 * characters; whoever can gossip could stop every node with one query. So an
 * expression becomes a program of few instructions (Thompson 1968, in the form of
 * Cox's "Regular Expression Matching: the Virtual Machine Approach"), and all its
 * threads walk over the text together: states times characters, never more.
 * `cost` tells that product before anything is run, for callers that have a budget.
 */
import { type Assertion, type CharSet, type Node, parseRegexp, RegexpError } from "./parse.ts";

/** Instructions of one program. */
const maxInstructions = 512;
/** Steps of compiling: repetitions of nothing take steps and emit nothing. */
const maxSteps = 4096;

type Instruction =
  | { readonly op: "set"; readonly set: CharSet }
  | { readonly op: "assert"; readonly what: Assertion["what"] }
  /** Goes on at both places. */
  | { readonly op: "split"; a: number; b: number }
  | { readonly op: "match" };

/** A regular expression that runs in linear time. */
export class Regexp {
  readonly #program: readonly Instruction[];

  /** Compiles. @throws {RegexpError} for what is wrong, not supported or too long. */
  constructor(expression: string) {
    this.#program = compile(parseRegexp(expression));
  }

  /** The most steps that matching a text of so many characters can take. */
  cost(characters: number): number {
    return this.#program.length * (characters + 1);
  }

  /** True if it matches anywhere in the text. */
  test(text: string): boolean {
    const chars = Array.from(text, (char) => char.codePointAt(0)!);
    let current = new Threads(this.#program.length);
    let next = new Threads(this.#program.length);
    for (let at = 0; at <= chars.length; at++) {
      // A match may begin anywhere: a new thread at each character.
      if (this.#follow(current, 0, chars, at)) return true;
      next.clear();
      if (at === chars.length) return false;
      for (const place of current.places()) {
        const instruction = this.#program[place]!;
        if (instruction.op !== "set" || !contains(instruction.set, chars[at]!)) continue;
        if (this.#follow(next, place + 1, chars, at + 1)) return true;
      }
      [current, next] = [next, current];
    }
    return false;
  }

  /** Adds a thread and all places that it reaches without a character. True if one is the end. */
  #follow(threads: Threads, start: number, chars: readonly number[], at: number): boolean {
    const open = [start];
    for (let place = open.pop(); place !== undefined; place = open.pop()) {
      if (!threads.add(place)) continue;
      const instruction = this.#program[place]!;
      if (instruction.op === "match") return true;
      if (instruction.op === "split") open.push(instruction.b, instruction.a);
      else if (instruction.op === "assert" && holds(instruction.what, chars, at)) {
        open.push(place + 1);
      }
    }
    return false;
  }
}

/** A set of places in a program, in the order of their coming. */
class Threads {
  readonly #list: Int32Array;
  readonly #has: Uint8Array;
  #size = 0;

  constructor(capacity: number) {
    this.#list = new Int32Array(capacity);
    this.#has = new Uint8Array(capacity);
  }

  add(place: number): boolean {
    if (this.#has[place] === 1) return false;
    this.#has[place] = 1;
    this.#list[this.#size++] = place;
    return true;
  }

  places(): Int32Array {
    return this.#list.subarray(0, this.#size);
  }

  clear(): void {
    this.#has.fill(0);
    this.#size = 0;
  }
}

function isWord(code: number | undefined): boolean {
  return code !== undefined && code < 0x80 && /\w/.test(String.fromCharCode(code));
}

function holds(what: Assertion["what"], chars: readonly number[], at: number): boolean {
  if (what === "start") return at === 0;
  if (what === "end") return at === chars.length;
  return (isWord(chars[at - 1]) !== isWord(chars[at])) === (what === "word");
}

function contains(set: CharSet, code: number): boolean {
  let found = inRanges(set.ranges, code);
  if (!found && set.fold) {
    const char = String.fromCodePoint(code);
    const lower = char.toLowerCase();
    const upper = char.toUpperCase();
    found = inRanges(set.ranges, lower.codePointAt(0)!) ||
      inRanges(set.ranges, upper.codePointAt(0)!);
  }
  return found !== set.negated;
}

function inRanges(ranges: readonly number[], code: number): boolean {
  for (let i = 0; i < ranges.length; i += 2) {
    if (code >= ranges[i]! && code <= ranges[i + 1]!) return true;
  }
  return false;
}

function compile(root: Node): Instruction[] {
  const program: Instruction[] = [];
  let steps = 0;
  const emit = (instruction: Instruction): number => {
    if (program.length >= maxInstructions) throw tooExpensive();
    return program.push(instruction) - 1;
  };
  const split = (): { a: number; b: number } => {
    const place = emit({ op: "split", a: 0, b: 0 });
    const instruction = program[place] as { a: number; b: number };
    instruction.a = instruction.b = place + 1;
    return instruction;
  };
  const add = (node: Node): void => {
    if (++steps > maxSteps) throw tooExpensive();
    switch (node.kind) {
      case "set":
        emit({ op: "set", set: node });
        break;
      case "assert":
        emit({ op: "assert", what: node.what });
        break;
      case "sequence":
        node.items.forEach(add);
        break;
      case "either": {
        const ends: { a: number; b: number }[] = [];
        node.items.forEach((item, i) => {
          if (i === node.items.length - 1) return add(item);
          const fork = split();
          add(item);
          ends.push(split());
          fork.b = program.length;
        });
        for (const end of ends) end.a = end.b = program.length;
        break;
      }
      case "repeat": {
        for (let i = 0; i < node.min; i++) add(node.item);
        if (node.max === Infinity) {
          const start = program.length;
          const fork = split();
          add(node.item);
          const back = split();
          back.a = back.b = start;
          fork.b = program.length;
          break;
        }
        const forks: { b: number }[] = [];
        for (let i = node.min; i < node.max; i++) {
          forks.push(split());
          add(node.item);
        }
        for (const fork of forks) fork.b = program.length;
      }
    }
  };
  add(root);
  emit({ op: "match" });
  return program;
}

function tooExpensive(): RegexpError {
  return new RegexpError("it repeats too much: use fewer or smaller repetitions");
}
