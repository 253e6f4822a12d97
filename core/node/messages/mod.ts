/** Messages of a node: by name and bytes, by definition and value, and as streams. */
export {
  defineMessage,
  type MessageDefinition,
  type MessageHandlerOf,
  type MessageValue,
  type ReceivedReply,
  type ReceivedValue,
  type ReplyValue,
  type RequestDefinition,
} from "./define.ts";
export {
  type ConsensusMessage,
  type CustomMessage,
  type HealthMessage,
  type HeartbeatMessage,
  messageNamed,
  messages,
  type MetadataSyncMessage,
  type QueryMessage,
  type QueryResultMessage,
  type Registered,
  type RegisteredMessages,
  type ReplicationLogMessage,
  type ResourceMessage,
  type ServiceMessage,
  type SporeMessage,
  type TransactionMessage,
  type TransactionPrepareMessage,
} from "./registry.ts";
export { type BroadcastResult, NodeMessages } from "./node_messages.ts";
export type { ReceivedMessage } from "./streams.ts";
