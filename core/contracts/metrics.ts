/** Metrics: counters and gauges as categories of names. */
import { type Slot, slot } from "../kernel/plugin.ts";

/** One contributor's share of a category; read when metrics are read. */
export interface MetricsSource {
  /** `topology`, `communication`, `load_balancer`, `failover`, `health`. */
  readonly category: string;
  /** Names in snake_case to numbers. Values of one name from several sources are added. */
  read(): Readonly<Record<string, number>>;
}

/** Where plugins contribute their metrics. */
export const metricsSources: Slot<MetricsSource> = slot("metrics.sources");
