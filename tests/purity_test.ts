/** The configuration that proves protocols/ pure is itself put to the proof. */
import assert from "node:assert/strict";

const root = new URL("../", import.meta.url);

/** Type-checks a text as protocols/ is type-checked. What the compiler says, without colours. */
async function check(text: string): Promise<string> {
  const file = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    await Deno.writeTextFile(file, text);
    const { stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["check", "--config", "protocols/pure.json", file],
      cwd: root,
      env: { NO_COLOR: "1" },
      stdout: "null",
      stderr: "piped",
    }).output();
    return new TextDecoder().decode(stderr);
  } finally {
    await Deno.remove(file);
  }
}

Deno.test("under protocols/pure.json no clock, timer, socket, console or random number type-checks", async () => {
  const impure = [
    "setTimeout(() => {}, 1)",
    "setInterval(() => {}, 1)",
    "queueMicrotask(() => {})",
    "Deno.cwd()",
    "crypto.randomUUID()",
    'fetch("x")',
    "console.log(1)",
    "performance.now()",
    "new TextEncoder()",
    "new AbortController()",
    'new URL("x:y")',
    "structuredClone(1)",
    "process.exit()",
    "new WebSocket(``)",
    "navigator.language",
  ];
  const said = await check(impure.join(";\n"));
  for (const line of impure) {
    const name = /(?:new )?(\w+)/.exec(line)![1];
    assert.match(said, new RegExp(`Cannot find name '${name}'`), line);
  }
});

Deno.test("under protocols/pure.json the language itself type-checks", async () => {
  const pure = [
    "const bytes = new Uint8Array(4); new DataView(bytes.buffer).getUint16(0)",
    "new Map([[1n, Promise.withResolvers<void>()]])",
    "[3, 1].toSorted(); Object.groupBy([1], String); bytes.toHex()",
  ];
  assert.doesNotMatch(await check(pure.join(";\n")), /error/i);
});
