/** Runs benches as a program: reads the options, measures, prints. */
import { loadAverage } from "./machine.ts";
import { type BenchOptions, parseOptions } from "./options.ts";
import { documentOf, renderDocument, type Report } from "./report.ts";

/** A bench. Its processes and folders are gone when it resolves. */
export type Bench = (options: BenchOptions) => Promise<Report>;

/** Runs benches one after another with the options of the command line, prints what they found and returns it. */
export async function runBenches(benches: readonly Bench[]): Promise<readonly Report[]> {
  let options: BenchOptions;
  try {
    options = parseOptions(Deno.args);
  } catch (error) {
    console.error((error as Error).message);
    Deno.exit(2);
  }
  const before = loadAverage();
  const reports: Report[] = [];
  for (const bench of benches) reports.push(await bench(options));
  const found = documentOf(reports, { before, after: loadAverage() });
  console.log(options.json ? JSON.stringify(found, null, 2) : renderDocument(found));
  return reports;
}
