/** Health: what plugins report and how reports add up. */
import { type Slot, slot } from "../kernel/plugin.ts";

/** `degraded` works, but worse than it should; `unhealthy` does not. */
export type HealthStatus = "healthy" | "degraded" | "unhealthy";

/** One report. */
export interface HealthReport {
  /** How it is. */
  readonly status: HealthStatus;
  /** Why, when not healthy. One sentence. */
  readonly reason?: string;
}

/** Asked whenever health is read; must be cheap and must not throw. */
export type HealthSource = () => HealthReport;

/** Where plugins contribute what they know of their own health. */
export const healthSources: Slot<HealthSource> = slot("health.sources");

/** The health of a node: the worst of its reports, with all of them. */
export interface NodeHealth {
  /** The worst of the reports. */
  readonly status: HealthStatus;
  /** The reasons of all that is not healthy, each after the plugin's id. */
  readonly reasons: readonly string[];
  /** Every report by the id of the plugin that made it. */
  readonly reports: Readonly<Record<string, HealthReport>>;
}
