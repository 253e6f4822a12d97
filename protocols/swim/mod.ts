/**
 * SWIM membership with Lifeguard on memberlist's wire, as a pure machine.
 * @module
 */
export * from "./types.ts";
export { SwimMachine } from "./machine.ts";
export { TransmitQueue } from "./transmit_queue.ts";
export { pushPullMs, retransmitLimit, suspicionMaxMs, suspicionMinMs } from "./scaling.ts";
export { type SwimConfig, swimPresets } from "./config.ts";
export { type Card, CardStore } from "./cards.ts";
export { formatAddress, parseIp } from "./address.ts";
export { type GossipCipher, GossipKeyring, maxKeys } from "./wire/keyring.ts";
export type { MsgpackWriter } from "./wire/msgpack.ts";
