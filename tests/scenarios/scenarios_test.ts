// Every story beside this file. `deno test -A tests/scenarios -- --update` writes their answers anew.
import assert from "node:assert/strict";
import { MembershipStory } from "./membership.ts";
import { parseStory, renderStory } from "./story.ts";

const folder = new URL("./membership/", import.meta.url);
const update = Deno.args.includes("--update");

for (const { name } of [...Deno.readDirSync(folder)].sort((a, b) => a.name < b.name ? -1 : 1)) {
  Deno.test(`story of membership: ${name.replace(/\.txt$/, "").replaceAll("_", " ")}`, async () => {
    const file = new URL(name, folder);
    const text = await Deno.readTextFile(file);
    const { steps } = parseStory(text);
    const story = new MembershipStory();
    const answers: string[] = [];
    for (const step of steps) {
      const answer = story.handle(step);
      if (!update) {
        assert.equal(answer, step.expected, `${name}, line ${step.line}: ${step.command}`);
      }
      answers.push(answer);
    }
    if (update) await Deno.writeTextFile(file, renderStory(text, answers));
  });
}
