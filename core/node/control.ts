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
  const reports: Record<string, HealthReport> = {};
  let status: HealthStatus = "healthy";
  for (const { plugin, value } of sources.entries()) {
    let report: HealthReport;
    try {
      report = value();
    } catch (error) {
      report = { status: "unhealthy", reason: `its health report failed: ${error}` };
    }
    const earlier = reports[plugin];
    if (earlier === undefined || worse(earlier.status, report.status) !== earlier.status) {
      reports[plugin] = report;
    }
    status = worse(status, report.status);
  }
  const reasons = Object.entries(reports)
    .filter(([, it]) => it.status !== "healthy")
    .map(([plugin, it]) => `${plugin}: ${it.reason ?? it.status}`);
  return { status, reasons, reports };
}

/** Adds metrics up by category and name. */
export function aggregateMetrics(
  sources: Iterable<MetricsSource>,
): Record<string, Record<string, number>> {
  const all: Record<string, Record<string, number>> = {};
  for (const { category, read } of sources) {
    const sums = all[category] ??= {};
    for (const [name, value] of Object.entries(read())) sums[name] = (sums[name] ?? 0) + value;
  }
  return all;
}

/** What only createNode knows. */
export type ControlFacts =
  & Pick<NodeControl, "runtimeVersion" | "startedAt" | "plugins" | "leave">
  & {
    readonly isReady: () => boolean;
  };

/** The plugin over those facts; always present. */
export function controlPlugin(facts: ControlFacts): Plugin<NodeControl> {
  return definePlugin({
    name: "node",
    summary: "The node's health, metrics and shutdown.",
    provides: nodeControl,
    needs: { health: live(healthSources), metrics: live(metricsSources) },
    config: z.strictObject({}),
    setup: ({ needs }): NodeControl => ({
      runtimeVersion: facts.runtimeVersion,
      startedAt: facts.startedAt,
      get ready() {
        return facts.isReady();
      },
      health: () => aggregateHealth(needs.health),
      metrics: () => aggregateMetrics(needs.metrics),
      plugins: facts.plugins,
      leave: facts.leave,
    }),
  });
}
