/**
 * The simulator: whole nodes, and bare protocol machines, in virtual time.
 *
 * `simulate()` runs a script twice under one seed. Nodes run on a Host whose
 * clocks, timers and randomness the seed determines, over a network, a disk and
 * crashes that the script controls. See each module's head for how.
 */
export {
  type Script,
  simulate,
  type SimulateOptions,
  simulateSeeds,
  type SimulationResult,
} from "./simulate.ts";
export { Simulation, type SimulationOptions } from "./simulation.ts";
export {
  type CrashOptions,
  type NodeContext,
  type NodeState,
  type NodeWorld,
  SimNode,
  type StartNode,
  type Stoppable,
} from "./node.ts";
export { type KernelNode, kernelNode } from "./kernel_node.ts";
export { SimHost, type SimHostParts, type SimLogLine } from "./sim_host.ts";
export { Scheduler, type SchedulerOptions } from "./scheduler.ts";
export { EventQueue, type Queued } from "./event_queue.ts";
export { Random } from "./random.ts";
export { type Delay, maxDelayMs } from "./delay.ts";
export { MachineClock } from "./clock.ts";
export { Loop } from "./loop.ts";
export {
  type DatagramTarget,
  type End,
  type LinkConditions,
  Machine,
  type Path,
  type StreamFacts,
  type StreamListener,
} from "./machine.ts";
export { lanConditions, Network, type NetworkOptions } from "./network.ts";
export { DatagramSocket, maxDatagramBytes } from "./datagram.ts";
export { SimDisk } from "./store.ts";
export type { SimTransportOptions } from "./transport.ts";
export { type Divergence, Trace } from "./trace.ts";
export { setTraps } from "./traps.ts";
