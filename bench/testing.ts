/** What the tests of benches share. */
import assert from "node:assert/strict";
import type { Report } from "./lib/report.ts";

/** Every row of a report has a positive number under each of `keys`, where it has one at all. */
export function assertFigures(report: Report, keys: readonly string[]): void {
  for (const key of keys) {
    const figures = report.rows.map((row) => row[key]).filter((it) => it !== undefined);
    assert.ok(figures.length > 0, `${report.bench}: no ${key}`);
    for (const figure of figures) {
      assert.ok(typeof figure === "number" && figure > 0, `${report.bench}: ${key} is ${figure}`);
    }
  }
  const columns = report.columns.map((it) => it.key);
  for (const row of report.rows) {
    for (const key of Object.keys(row)) assert.ok(columns.includes(key), `${key} has no column`);
  }
}
