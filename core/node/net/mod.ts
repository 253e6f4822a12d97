/** What transports share: addresses, waiting inbound connections, attempts to connect. */
export {
  announcedAddress,
  type Announcement,
  formatHostPort,
  type HostPort,
  isWildcard,
  parseHostPort,
} from "./address.ts";
export { AcceptQueue, maxHeldConnections } from "./accept_queue.ts";
export { type Attempt, attempt, type AttemptOptions } from "./attempt.ts";
export { asListenError } from "./listen_error.ts";
