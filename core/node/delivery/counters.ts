/** What delivery counts. */

/** Since the start of the node. */
export interface Counters {
  /** Messages that their receivers acknowledged. */
  acknowledged: number;
  /** Times that a message was sent again. */
  retransmitted: number;
  /** Messages that came to nothing, for whatever reason. */
  failed: number;
  /** Those of them that were sent, and given up. */
  undelivered: number;
  /** Messages that arrived again and were not handed up. */
  duplicates: number;
  /** Sequences and acknowledgements that made no sense, messages for which there was no room, notices that could not be read. */
  refused: number;
  /** Times that the handler of a guaranteed message failed. */
  failures: number;
}

/** All at zero. */
export function newCounters(): Counters {
  return {
    acknowledged: 0,
    retransmitted: 0,
    failed: 0,
    undelivered: 0,
    duplicates: 0,
    refused: 0,
    failures: 0,
  };
}
