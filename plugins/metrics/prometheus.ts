/**
 * The plugin `prometheus`: everything that this node counts, at `/metrics` of
 * the admin endpoint, for a Prometheus server to scrape.
 *
 * Theory of operation. Counters live with those who count; a scrape reads them,
 * so that a node that nobody scrapes pays nothing for them. `/metrics` is guarded
 * as the rest of admin is: it listens where admin does (loopback, unless admin is
 * told otherwise) and asks for a bearer token. Since whoever holds admin's token
 * may stop the node, a scraper may be given a token of its own (`token` or
 * `tokenPath`), which opens this page alone. It works by two groups of routes: the
 * first is open and answers the scraper's token; to anybody else it is not there,
 * and the second, behind admin's token, decides.
 */
import { resolve } from "node:path";
import { z } from "zod";
// Single files of admin's: the whole of it would load its router, admin or not.
import { isToken, loadToken } from "../../core/admin/files.ts";
import { tokenCheck } from "../../core/admin/guard.ts";
import { problem, problemResponse } from "../../core/admin/problem.ts";
import { type AdminRoutes, adminRoutes } from "../../core/contracts/admin.ts";
import { metricFamilies, type MetricFamily, metricsSources } from "../../core/contracts/metrics.ts";
import { nodeControl } from "../../core/contracts/node.ts";
import { settings } from "../../core/contracts/settings.ts";
import { definePlugin } from "../../core/kernel/define_plugin.ts";
import { type Capability, capability, live, type Plugin } from "../../core/kernel/plugin.ts";
import { categoryFamilies, collect } from "./prometheus/families.ts";
import { renderText, textType } from "./prometheus/text.ts";

/** The page with a node's metrics, as a group of admin's routes. */
export const metricsPage: Capability<AdminRoutes> = capability("metrics_page");

const config = z.strictObject({
  token: z.string()
    .refine(isToken, "must be 16 to 512 letters, digits and -._~+/=")
    .optional()
    .describe("A bearer token for /metrics alone, beside admin's. Better kept in a file."),
  tokenPath: z.string().optional()
    .describe("The file that holds that token; made with a fresh one if it is not there."),
});

/** Contributions that were complained about and are remembered, so that each is logged once. */
const maxComplaints = 100;

/** The plugin. */
const plugin: Plugin<AdminRoutes> = definePlugin({
  name: "prometheus",
  summary: "Metrics for Prometheus, at /metrics of the admin endpoint.",
  provides: metricsPage,
  needs: {
    settings,
    control: nodeControl,
    sources: live(metricsSources),
    families: live(metricFamilies),
  },
  config,
  permissions: ({ tokenPath }) =>
    tokenPath === undefined ? {} : { read: [tokenPath], write: [tokenPath] },
  async setup(scope) {
    const { host, config, needs } = scope;
    const { id: node_id, cluster, type, baseDir } = needs.settings;
    const token = config.token ??
      (config.tokenPath === undefined
        ? undefined
        : await loadToken(host, resolve(baseDir, config.tokenPath)));

    const told = new Set<string>();
    const skipped = (metric: string, why: string) => {
      const complaint = `${metric}: ${why}`;
      if (told.has(complaint) || told.size >= maxComplaints) return;
      told.add(complaint);
      host.log.warn("A metric was left out", { metric, why });
    };
    const info: MetricFamily = {
      name: "mycnet_node_info",
      help: "What this node is; the value is always 1.",
      type: "gauge",
      read: () => {
        const version = needs.control.runtimeVersion;
        return [{ labels: { node_id, cluster, type, version }, value: 1 }];
      },
    };
    const page = (request: Request): Response => {
      if (request.method !== "GET" && request.method !== "HEAD") {
        return problemResponse(problem("method_not_allowed", "only GET is answered here"), {
          allow: "GET, HEAD",
        });
      }
      const all = [
        info,
        ...needs.families,
        ...categoryFamilies(needs.sources, node_id, skipped),
      ];
      const text = renderText(collect(all, skipped));
      return new Response(request.method === "HEAD" ? null : text, {
        headers: { "content-type": textType, "cache-control": "no-store" },
      });
    };

    const path = "/metrics";
    const guarded: AdminRoutes = { path, fetch: page };
    if (token !== undefined) {
      const check = tokenCheck(token);
      scope.contribute(adminRoutes, {
        path,
        open: true,
        fetch: (request) => {
          try {
            check(request);
          } catch {
            return problemResponse(problem("not_found", "nothing is served here without a token"));
          }
          return page(request);
        },
      });
    }
    scope.contribute(adminRoutes, guarded);
    return guarded;
  },
});

export default plugin;
