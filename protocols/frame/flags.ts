/** The flags of a message's prefix (prefix.ts), apart so that all who write or read one share them. */

/**
 * The flags, lowest bit first: what they announce stands in this order. `upload` announces no
 * bytes: items follow the request. `more` is reserved for a later version that needs more flags
 * than these; what they announce will stand behind all that is known here.
 */
export const flag = {
  upload: 1 << 0,
  route: 1 << 1,
  deadline: 1 << 2,
  retryBudget: 1 << 3,
  sequence: 1 << 4,
  idempotencyKey: 1 << 5,
  affinityKey: 1 << 6,
  source: 1 << 7,
  target: 1 << 8,
  hopLimit: 1 << 9,
  fencingEpoch: 1 << 10,
  loadHint: 1 << 11,
  trace: 1 << 12,
  metadata: 1 << 13,
  compressed: 1 << 14,
  more: 1 << 15,
} as const;

/** The marks in the top byte of a sequence. Others mean nothing yet. */
export const sequenceMark = { durable: 1 << 0, redelivered: 1 << 1 } as const;
