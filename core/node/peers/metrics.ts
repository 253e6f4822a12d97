/** What the links of a node have carried, in numbers. */

/** The counters of the category `communication`. */
export interface CommunicationMetrics extends Readonly<Record<string, number>> {
  readonly messages_sent: number;
  readonly messages_received: number;
  readonly bytes_sent: number;
  readonly bytes_received: number;
  readonly connection_errors: number;
  readonly active_connections: number;
}
