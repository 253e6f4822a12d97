/**
 * What any process of this Deno costs: it says that it is ready, tells its
 * memory when asked, and ends when its standard input does. It imports nothing,
 * on purpose.
 */
console.log(JSON.stringify({ ready: "" }));
for await (const text of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
  const { id } = JSON.parse(text);
  console.log(JSON.stringify({ id, result: { resident: Deno.memoryUsage().rss, held: 0 } }));
}
