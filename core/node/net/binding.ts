/** Which of a transport's own settings and the node's say where it listens. */
import type { Settings } from "../../contracts/settings.ts";

/** The part of a transport's configuration that overrides the node's. */
export interface BindingConfig {
  readonly bindAddress?: string | undefined;
  readonly advertiseAddress?: string | undefined;
}

/** Where to listen and how that is announced. */
export interface Binding {
  readonly bind: string;
  /** Undefined: as it listens. */
  readonly advertise: string | undefined;
}

/**
 * Where a transport listens; undefined for nowhere. The node's `advertiseAddress`
 * belongs to the node's `bindAddress`: a transport with a `bindAddress` of its own
 * has another port, so there only its host counts.
 */
export function bindingOf(
  config: BindingConfig,
  settings: Pick<Settings, "bindAddress" | "advertiseAddress">,
): Binding | undefined {
  const bind = config.bindAddress ?? settings.bindAddress;
  if (bind === undefined) return undefined;
  if (config.advertiseAddress !== undefined) return { bind, advertise: config.advertiseAddress };
  const advertise = config.bindAddress === undefined
    ? settings.advertiseAddress
    : settings.advertiseAddress?.replace(/:\d+$/, ":0");
  return { bind, advertise };
}
