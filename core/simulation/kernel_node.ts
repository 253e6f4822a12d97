/** A node that is a kernel and its plugins, with those that reach out of it replaced. */
import type { Entry } from "../kernel/entry.ts";
import { Kernel, type KernelOptions } from "../kernel/kernel.ts";
import type { StartNode } from "./node.ts";

/** A kernel that runs on a simulated machine. */
export interface KernelNode {
  /** Its plugins, by capability and otherwise. */
  readonly kernel: Kernel;
  /** Stops all of them. */
  stop(): Promise<void>;
}

/** Starts a kernel with these plugins; transports, datagrams and stores among them are simulated. */
export function kernelNode(
  entries: readonly Entry[],
  options?: KernelOptions,
): StartNode<KernelNode> {
  return async (host, context) => {
    const kernel = new Kernel(host, options);
    await kernel.apply(context.substitute(entries));
    return { kernel, stop: () => kernel.stop() };
  };
}
