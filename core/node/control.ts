/**
 * The node as its own plugins see it: facts, and sums over what all plugins
 * contribute. Health is the worst report; metrics of one name are added.
 */
import {
  type HealthReport,
  type HealthSource,
  healthSources,
  type HealthStatus,
  type NodeHealth,
} from "../contracts/health.ts";
import { type MetricsSource, metricsSources } from "../contracts/metrics.ts";
import { type NodeControl, nodeControl } from "../contracts/node.ts";
import { errorFields } from "../kernel/logger.ts";
import { definePlugin } from "../kernel/define_plugin.ts";
import { live, type LiveList, type Plugin } from "../kernel/plugin.ts";
import { z } from "zod";

const severity: readonly HealthStatus[] = ["healthy", "degraded", "unhealthy"];

/** The worse of two. */
export function worse(a: HealthStatus, b: HealthStatus): HealthStatus {
  return severity.indexOf(a) >= severity.indexOf(b) ? a : b;
}

/** Adds reports up. A source that throws is itself an unhealthy report. */
export function aggregateHealth(sources: LiveList<HealthSource>): NodeHealth {
  const reports = new Map<string, HealthReport>();
  let status: HealthStatus = "healthy";
  for (const { plugin, value } of sources.entries()) {
    let report: HealthReport;
    try {
      report = value();
    } catch (error) {
      report = { status: "unhealthy", reason: `its health report failed: ${error}` };
    }
    const earlier = reports.get(plugin);
    if (earlier === undefined || worse(earlier.status, report.status) !== earlier.status) {
      reports.set(plugin, report);
    }
    status = worse(status, report.status);
  }
  const reasons = [...reports]
    .filter(([, it]) => it.status !== "healthy")
    .map(([plugin, it]) => `${plugin}: ${it.reason ?? it.status}`);
  return { status, reasons, reports: Object.fromEntries(reports) };
}

/** Adds metrics up by category and name. A source that throws is left out and told to `failed`. */
export function aggregateMetrics(
  sources: Iterable<MetricsSource>,
  failed: (error: unknown, category: string) => void,
): Record<string, Record<string, number>> {
  const all = new Map<string, Map<string, number>>();
  for (const { category, read } of sources) {
    try {
      const values = Object.entries(read());
      const sums = all.get(category) ?? new Map<string, number>();
      all.set(category, sums);
      for (const [name, value] of values) sums.set(name, (sums.get(name) ?? 0) + value);
    } catch (error) {
      failed(error, category);
    }
  }
  return Object.fromEntries([...all].map(([name, sums]) => [name, Object.fromEntries(sums)]));
}

/** What only createNode knows. */
export type ControlFacts =
  & Pick<NodeControl, "runtimeVersion" | "startedAt" | "plugins" | "join" | "leave">
  & {
    readonly isReady: () => boolean;
    readonly isLeaving: () => boolean;
  };

/** The plugin over those facts; always present. */
export function controlPlugin(facts: ControlFacts): Plugin<NodeControl> {
  return definePlugin({
    name: "node",
    summary: "The node's health, metrics and shutdown.",
    provides: nodeControl,
    needs: { health: live(healthSources), metrics: live(metricsSources) },
    config: z.strictObject({}),
    setup: ({ needs, host }): NodeControl => ({
      runtimeVersion: facts.runtimeVersion,
      startedAt: facts.startedAt,
      get ready() {
        return facts.isReady();
      },
      get leaving() {
        return facts.isLeaving();
      },
      health: () => aggregateHealth(needs.health),
      metrics: () =>
        aggregateMetrics(needs.metrics, (error, category) => {
          host.log.warn("A source of metrics failed", { category, ...errorFields(error) });
        }),
      plugins: facts.plugins,
      join: facts.join,
      leave: facts.leave,
    }),
  });
}
