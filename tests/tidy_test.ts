import assert from "node:assert/strict";
import { houseRules } from "./tidy/rules.ts";
import { readTree, render } from "./tidy/tree.ts";

for (const [sentence, check] of Object.entries(houseRules(readTree()))) {
  Deno.test(`house: ${sentence}`, () => {
    const found = check();
    if (found.length > 0) assert.fail(`\n${render(found)}\n`);
  });
}
