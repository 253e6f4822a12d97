/**
 * Delivery: acknowledged messages that arrive once and in order, whatever links do.
 * @module
 */
export {
  decodeNotices,
  encodeNotices,
  lanes,
  maxNotices,
  type Notice,
  noticeBytes,
  type NoticeKind,
  type SequenceSpace,
} from "./notices.ts";
export { type Judgement, ReceiveLane, type SenderLanes, Senders } from "./receive_lane.ts";
export {
  type GiveUpReason,
  SendLane,
  type SendLaneHandler,
  type SendLaneOptions,
} from "./send_lane.ts";
