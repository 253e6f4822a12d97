/**
 * Changes of members for handlers that would rather hear of many at once: the
 * machine of protocols/serf/coalesce.ts on the host's clock, one for each handler.
 */
import { MemberCoalescer } from "@mycnet/protocols/serf";
import {
  type CoalesceTimes,
  type Member,
  type MemberChanges,
  memberEvent,
} from "../../../core/contracts/membership.ts";
import { MycnetError } from "../../../core/kernel/errors.ts";
import type { Host, Timer } from "../../../core/kernel/host.ts";
import { errorFields } from "../../../core/kernel/logger.ts";

/** The longest that changes may be held back, in ms. */
const longestMs = 600_000;

/**
 * Follows the members until disposed. What the handler throws is logged.
 * @throws {MycnetError} `invalid_argument` for times that are none.
 */
export function followCoalesced(
  host: Host,
  handler: (changes: MemberChanges) => void,
  times: CoalesceTimes,
): Disposable {
  for (const [name, ms] of Object.entries(times)) {
    if (ms === undefined || (ms >= 0 && ms <= longestMs)) continue;
    throw new MycnetError("invalid_argument", `${name}: 0 to ${longestMs} ms, not ${ms}`);
  }
  const coalescer = new MemberCoalescer<Member>(times);
  let timer: Timer | undefined;
  let armedMs = Infinity;
  const arm = () => {
    if (coalescer.nextMs === armedMs) return;
    timer?.[Symbol.dispose]();
    armedMs = coalescer.nextMs;
    timer = armedMs === Infinity ? undefined : host.after(Math.max(0, armedMs - host.now()), () => {
      armedMs = Infinity;
      for (const changes of coalescer.take(host.now())) tell(changes);
      arm();
    });
  };
  const tell = (changes: MemberChanges) => {
    try {
      handler(changes);
    } catch (error) {
      host.log.error("A handler of members threw.", { type: changes.type, ...errorFields(error) });
    }
  };
  const hearing = host.on(memberEvent, ({ type, member }) => {
    coalescer.add(type, member.id, member, host.now());
    arm();
  });
  return {
    [Symbol.dispose]() {
      hearing[Symbol.dispose]();
      timer?.[Symbol.dispose]();
    },
  };
}
