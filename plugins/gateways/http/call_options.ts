/** Options of a call as HTTP headers. */
import type { CallOptions } from "../../../core/contracts/services.ts";
import { invalidFields } from "../../../core/admin/mod.ts";
import { parseDuration } from "../../../core/kernel/duration.ts";
import type { Priority } from "@mycnet/protocols/frame";

const metadataPrefix = "mycnet-meta-";
const maxMetadataKeys = 64;
const priorities: readonly string[] = ["critical", "high", "normal", "low"] satisfies Priority[];

function metadataOf(headers: Headers): Record<string, string> | undefined {
  const found: [string, string][] = [];
  for (const [name, value] of headers) {
    if (!name.startsWith(metadataPrefix) || name.length === metadataPrefix.length) continue;
    try {
      // Headers hold Latin-1 only, so values come percent-encoded.
      found.push([name.slice(metadataPrefix.length), decodeURIComponent(value)]);
    } catch {
      throw invalidFields([{ field: name, message: "must be percent-encoded UTF-8" }]);
    }
  }
  if (found.length > maxMetadataKeys) {
    throw invalidFields([{ field: `${metadataPrefix}*`, message: `at most ${maxMetadataKeys}` }]);
  }
  return found.length === 0 ? undefined : Object.fromEntries(found);
}

/**
 * Reads `mycnet-timeout` ("2s", or milliseconds), `mycnet-priority`,
 * `mycnet-node`, `mycnet-attempts` and `mycnet-meta-<key>`.
 * @throws `invalid_argument` naming the header.
 */
export function callOptions(headers: Headers): CallOptions & { readonly timeout?: number } {
  const timeout = headers.get("mycnet-timeout");
  const priority = headers.get("mycnet-priority");
  const node = headers.get("mycnet-node");
  const attempts = headers.get("mycnet-attempts");
  const metadata = metadataOf(headers);
  if (priority !== null && !priorities.includes(priority)) {
    const message = `must be one of ${priorities.join(", ")}`;
    throw invalidFields([{ field: "mycnet-priority", message }]);
  }
  if (attempts !== null && !/^([1-9]|[1-9]\d|1\d\d|2[0-4]\d|25[0-5])$/.test(attempts)) {
    throw invalidFields([{ field: "mycnet-attempts", message: "must be 1 to 255" }]);
  }
  return {
    ...(timeout === null ? {} : {
      timeout: parseDuration(/^\d+$/.test(timeout) ? Number(timeout) : timeout, "mycnet-timeout"),
    }),
    ...(priority === null ? {} : { priority: priority as Priority }),
    ...(node === null ? {} : { node }),
    ...(attempts === null ? {} : { attempts: Number(attempts) }),
    ...(metadata === undefined ? {} : { metadata }),
  };
}
