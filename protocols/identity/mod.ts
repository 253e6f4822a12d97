/**
 * Who a node is, as both ends of a link speak of it.
 *
 * A certificate names a node as `spiffe://<cluster>/<node type>/<node id>`
 * (SPIFFE ID, https://spiffe.io), so that neither id nor type can be claimed.
 * @module
 */
export * from "./principal.ts";
export * from "./spiffe.ts";
export { checkDescription, type Checked, descriptionLimits } from "./description.ts";
