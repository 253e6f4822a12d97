/** The one place that touches the MessagePack library. */
export {
  Decoder,
  decodeTimestampExtension,
  Encoder,
  encodeTimestampExtension,
  ExtData,
} from "@msgpack/msgpack";
export type { ExtensionCodecType } from "@msgpack/msgpack";
