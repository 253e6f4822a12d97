/** Metrics: counters and gauges as categories of names, and families of values with labels. */
import { type Slot, slot } from "../kernel/plugin.ts";

/** One contributor's share of a category; read when metrics are read. */
export interface MetricsSource {
  /** `topology`, `communication`, `load_balancer`, `failover`, `health`. */
  readonly category: string;
  /** The names that rise and fall. All others only rise, as counters do. */
  readonly gauges?: readonly string[];
  /** Names in snake_case to numbers. Values of one name from several sources are added. */
  read(): Readonly<Record<string, number>>;
}

/** Where plugins contribute their metrics. */
export const metricsSources: Slot<MetricsSource> = slot("metrics.sources");

/** How often each size was seen, as Prometheus has it: each bound counts all that is not above it. */
export interface HistogramValue {
  /** Upper bounds, ascending, without infinity. */
  readonly bounds: readonly number[];
  /** For each bound how many were at most that. */
  readonly cumulative: readonly number[];
  /** How many there were in all. */
  readonly count: number;
  /** Their sum. */
  readonly sum: number;
}

/** One value of a family. */
export interface MetricSample {
  /** What tells it from the family's others. Their number is bounded by whoever contributes. */
  readonly labels: Readonly<Record<string, string>>;
  /** A histogram's in a family of histograms, a number in any other. */
  readonly value: number | HistogramValue;
}

/** A metric with labels, under its full name; read when metrics are read. */
export interface MetricFamily {
  /** As Prometheus shows it, e.g. `networking_messages_sent_total`. Base units: seconds, bytes. */
  readonly name: string;
  /** One sentence for people. */
  readonly help: string;
  /** A counter only rises. */
  readonly type: "counter" | "gauge" | "histogram";
  /** The values now. Those of equal labels from several contributors are added. */
  read(): Iterable<MetricSample>;
}

/** Where plugins contribute metrics with labels. */
export const metricFamilies: Slot<MetricFamily> = slot("metrics.families");
