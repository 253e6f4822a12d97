/**
 * From what plugins contribute to families that Prometheus takes.
 *
 * Categories become families of one value, `mycnet_<category>_<name>`, with
 * `_total` where they count and seconds for milliseconds. Families of labels come
 * as they are; values of equal labels are added, be they of one contributor or of
 * several. What Prometheus would refuse (a name out of its alphabet, a value
 * that is no number, one name with two types) is left out and told to `skipped`:
 * one bad contribution must not cost the whole scrape.
 */
import type {
  HistogramValue,
  MetricFamily,
  MetricSample,
  MetricsSource,
} from "../../../core/contracts/metrics.ts";

/** A family that can be shown: its values read, checked and added up. */
export interface ReadyFamily {
  readonly name: string;
  readonly help: string;
  readonly type: MetricFamily["type"];
  readonly samples: readonly MetricSample[];
}

/** Told what was left out, and why. */
export type Skipped = (metric: string, why: string) => void;

const metricName = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const labelName = /^[a-zA-Z_][a-zA-Z0-9_]*$/;

/** The name of one value of a category, and what makes its number one of base units. */
export function categoryName(
  category: string,
  name: string,
  gauge: boolean,
): { readonly name: string; readonly scale: number } {
  const inMs = name.endsWith("_ms");
  const words = `mycnet_${category}_${inMs ? `${name.slice(0, -3)}_seconds` : name}`;
  const clean = words.replaceAll(/[^a-zA-Z0-9_]/g, "_");
  return { name: gauge ? clean : `${clean}_total`, scale: inMs ? 0.001 : 1 };
}

/** The families of what was contributed by category. */
export function categoryFamilies(
  sources: Iterable<MetricsSource>,
  node_id: string,
  skipped: Skipped,
): MetricFamily[] {
  const families: MetricFamily[] = [];
  for (const { category, gauges = [], read } of readable(sources)) {
    for (const [key, value] of Object.entries(tried(read, `category ${category}`, skipped) ?? {})) {
      const gauge = gauges.includes(key);
      const { name, scale } = categoryName(category, key, gauge);
      families.push({
        name,
        help: `${key.replaceAll("_", " ")} (${category}).`,
        type: gauge ? "gauge" : "counter",
        read: () => [{ labels: { node_id }, value: value * scale }],
      });
    }
  }
  return families;
}

/** Reads families and adds up what belongs together. */
export function collect(families: Iterable<MetricFamily>, skipped: Skipped): ReadyFamily[] {
  const all = new Map<string, { first: MetricFamily; samples: Map<string, MetricSample> }>();
  for (const family of families) {
    const { name, type } = family;
    if (!metricName.test(name)) {
      skipped(name, "the name may have letters, digits and _ only");
      continue;
    }
    const known = all.get(name) ?? { first: family, samples: new Map() };
    if (known.first.type !== type) {
      skipped(name, `it is contributed as ${known.first.type} and as ${type}`);
      continue;
    }
    all.set(name, known);
    for (const sample of tried(() => [...family.read()], name, skipped) ?? []) {
      add(known.samples, sample, type, (why) => skipped(name, why));
    }
  }
  return Array.from(all.values(), ({ first: { name, help, type }, samples }) => ({
    name,
    help,
    type,
    samples: [...samples.values()],
  }));
}

function add(
  samples: Map<string, MetricSample>,
  sample: MetricSample,
  type: MetricFamily["type"],
  skipped: (why: string) => void,
): void {
  const labels = Object.entries(sample.labels).toSorted(([a], [b]) => a < b ? -1 : 1);
  const bad = labels.find(([label]) => !labelName.test(label) || label === "le");
  if (bad !== undefined) return skipped(`it has a label ${JSON.stringify(bad[0])}`);
  if ((typeof sample.value === "number") === (type === "histogram")) {
    return skipped(`a ${type} has a ${typeof sample.value} as its value`);
  }
  if (typeof sample.value === "number" && Number.isNaN(sample.value)) {
    return skipped("a value is no number");
  }
  const key = JSON.stringify(labels);
  const before = samples.get(key);
  const value = before === undefined ? sample.value : sum(before.value, sample.value);
  if (value === undefined) return skipped("two histograms of equal labels differ in their bounds");
  samples.set(key, { labels: sample.labels, value });
}

function sum(
  a: MetricSample["value"],
  b: MetricSample["value"],
): MetricSample["value"] | undefined {
  if (typeof a === "number" || typeof b === "number") return Number(a) + Number(b);
  if (a.bounds.join() !== b.bounds.join()) return undefined;
  const both: HistogramValue = {
    bounds: a.bounds,
    cumulative: a.cumulative.map((count, at) => count + b.cumulative[at]!),
    count: a.count + b.count,
    sum: a.sum + b.sum,
  };
  return both;
}

/** Sources with a `read` that keeps its `this`. */
function* readable(sources: Iterable<MetricsSource>): Iterable<MetricsSource> {
  for (const source of sources) {
    yield { category: source.category, gauges: source.gauges, read: () => source.read() };
  }
}

function tried<T>(read: () => T, metric: string, skipped: Skipped): T | undefined {
  try {
    return read();
  } catch (error) {
    skipped(metric, `reading it failed: ${error instanceof Error ? error.message : error}`);
    return undefined;
  }
}
