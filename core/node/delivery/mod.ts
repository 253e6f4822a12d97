/**
 * Delivery: acknowledged messages between nodes.
 * @module
 */
export { default as deliveryPlugin } from "./plugin.ts";
export { NodeDelivery } from "./delivery.ts";
