/** What the program's exit tells a script; help prints the same table. */

/** Exit codes of every command. */
export const exitCodes = {
  /** It worked. */
  ok: 0,
  /** It did not; the error says why. */
  failed: 1,
  /** The command line makes no sense. */
  usage: 2,
  /** No node answers. */
  unreachable: 3,
  /** The node refuses: the token, or what it may do. */
  refused: 4,
  /** Ended by a signal. */
  interrupted: 130,
} as const;
