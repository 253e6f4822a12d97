import assert from "node:assert/strict";
import { parseStory, renderStory } from "./story.ts";

const text = `# Two commands.
say hello to=b loud
----
hello b

# Nothing is answered.
wait 3s
----

`;

Deno.test("a story is read as commands with words, options and answers", () => {
  const { steps } = parseStory(text);
  assert.deepEqual(
    steps.map(({ command, words, options, expected, line }) => ({
      command,
      words,
      options,
      expected,
      line,
    })),
    [
      {
        command: "say",
        words: ["hello", "loud"],
        options: { to: "b" },
        expected: "hello b",
        line: 2,
      },
      { command: "wait", words: ["3s"], options: {}, expected: "", line: 7 },
    ],
  );
});

Deno.test("a story that is written with its own answers is the same text", () => {
  const answers = parseStory(text).steps.map(({ expected }) => expected);
  assert.equal(renderStory(text, answers).replace(/\n+$/, ""), text.replace(/\n+$/, ""));
  assert.match(renderStory(text, ["hello c\nand d", "ok"]), /----\nhello c\nand d\n\n# Nothing/);
});

Deno.test("a command without a line of dashes is named", () => {
  assert.throws(() => parseStory("# x\nsay hello\nhello\n"), /line 3: "----" expected/);
});
