import assert from "node:assert/strict";
import fc from "fast-check";
import { RegexpError } from "./parse.ts";
import { Regexp } from "./regexp.ts";

const matches = (expression: string, text: string) => new Regexp(expression).test(text);

Deno.test("the usual expressions of filters match as in Go", () => {
  const table: [string, string, boolean][] = [
    ["web", "my-web-1", true],
    ["^web$", "web", true],
    ["^web$", "web\n", false],
    ["^w.b$", "w\nb", false],
    ["(?s)^w.b$", "w\nb", true],
    ["^(web|db)-[0-9]+$", "db-42", true],
    ["^(web|db)-[0-9]+$", "dbx-42", false],
    ["^(?:a|b|)c$", "c", true],
    ["^[^a-c]+$", "xyz", true],
    ["^[^a-c]+$", "xaz", false],
    ["^[a\\-z]+$", "a-z", true],
    ["^[]a]+$", "]a]", true],
    ["^[a-]+$", "a-a", true],
    ["^\\d{2,3}$", "12", true],
    ["^\\d{2,3}$", "1234", false],
    ["^\\d{2,}$", "1234", true],
    ["^a{0}b$", "b", true],
    ["x{", "x{", true],
    ["x{,2}", "x{,2}", true],
    ["(?i)WEB", "xweb", true],
    ["(?i:w)EB", "Web", false],
    ["(?i:w)EB", "WEB", true],
    ["(?i)[a-c]+$", "XABC", true],
    ["(?P<x>a)(?<y>b)", "ab", true],
    ["\\bdb\\b", "the db here", true],
    ["\\bdb\\b", "sdb", false],
    ["\\Bb", "ab", true],
    ["a*?b", "aaab", true],
    ["^\\x41\\x{1F600}$", "A😀", true],
    ["^.$", "😀", true],
    ["^\\W\\S\\D$", "-xx", true],
    ["", "", true],
    ["", "anything", true],
    ["^$", "", true],
    ["^$", "x", false],
    ["(|a)+b", "aab", true],
    ["(a*)*b", "aaac", false],
    ["(^a|b)c", "abc", true],
    ["\\.", "a.b", true],
    ["^[\\d.]+$", "10.0.0.1", true],
  ];
  for (const [expression, text, wanted] of table) {
    assert.equal(matches(expression, text), wanted, `/${expression}/ on ${JSON.stringify(text)}`);
  }
});

Deno.test("what is wrong or not supported is refused with a reason", () => {
  const wrong = [
    "(",
    ")",
    "a)",
    "[",
    "[a",
    "*a",
    "a**",
    "+",
    "\\",
    "\\p{L}",
    "\\1",
    "(?=a)",
    "(?<!a)b",
    "[b-a]",
    "[[:alpha:]]",
    "(?m)a",
    "a{2,1}",
    "a{1001}",
    "\\xZZ",
    "(?P<a",
    "x".repeat(257),
    "\\x{110000}",
    "\\x",
    "[\\d-a-\\w]",
  ];
  for (const expression of wrong) {
    assert.throws(() => new Regexp(expression), RegexpError, expression);
  }
});

Deno.test("repetitions of repetitions cannot make a program large, or compiling slow", () => {
  for (const expression of ["(a{100}){100}", "((((){1000}){1000}){1000}){1000}", "(a?){600}"]) {
    assert.throws(() => new Regexp(expression), /repeats too much/, expression);
  }
});

Deno.test("expressions that are catastrophic for backtracking take a step per state and character", () => {
  const text = "a".repeat(512) + "!";
  for (const expression of ["^(a+)+$", "^(a|aa)+$", "^(a|a?)+$", "^(.*a){20}$", "(x+x+)+y"]) {
    const regexp = new Regexp(expression);
    assert.equal(regexp.test(text), false);
    assert.ok(regexp.cost(text.length) < 60_000);
  }
});

Deno.test("whatever both understand, it says what JavaScript says", () => {
  const piece = fc.constantFrom(
    "a",
    "b",
    "c",
    ".",
    "[ab]",
    "[^a]",
    "^",
    "$",
    "\\b",
    "\\w",
    "a*",
    "b+",
    "c?",
    "(a|b)",
    "(ab)*",
    "(?:a|bc)+",
    "a{2}",
    "(b){1,2}",
    "|",
  );
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 6 }),
      fc.array(fc.constantFrom("a", "b", "c", "-"), { maxLength: 8 }),
      (pieces, chars) => {
        const expression = pieces.join("");
        const text = chars.join("");
        assert.equal(
          matches(expression, text),
          new RegExp(expression, "su").test(text),
          expression,
        );
      },
    ),
    { numRuns: 2000 },
  );
});

Deno.test("no text makes the parser fail in another way than by refusing", () => {
  const text = fc.string({
    unit: fc.constantFrom(..."ab(){}[]|*+?.^$\\-,0129xPd:<>is"),
    maxLength: 40,
  });
  fc.assert(
    fc.property(text, (expression) => {
      try {
        new Regexp(expression).test("ab-12");
      } catch (error) {
        assert.ok(error instanceof RegexpError, String(error));
      }
    }),
    { numRuns: 3000 },
  );
});
