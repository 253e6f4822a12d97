/**
 * Where a member is in the network, as a point: the estimated round trip between
 * two members is the distance of their points.
 *
 * A point has eight dimensions, where the distance of the core of the network is
 * Euclidean, and a height, the way from the member to that core and back (Dabek,
 * Cox, Kaashoek, Morris 2004, section 5.4). An adjustment, the mean of what the
 * estimates missed lately, is added on top (Lee et al. 2010). All in seconds. On
 * the wire a coordinate follows a version byte in the payload of acks.
 */
import { WireError } from "../../swim/wire/msgpack.ts";
import { SerfReader, SerfWriter } from "../wire/pack.ts";

/** The dimensions of a coordinate; members with other numbers of them are not understood. */
export const dimensions = 8;
/** The first byte of a payload. */
const payloadVersion = 1;
/** A part of a coordinate larger than this is no place on this planet, seconds. */
const maxSeconds = 1000;

/** A point in the network. Immutable. All in seconds except `error`. */
export interface Coordinate {
  /** {@linkcode dimensions} numbers. */
  readonly vec: Float64Array;
  /** How far estimates are off, relatively: 0 is perfect, 1.5 is the start. */
  readonly error: number;
  /** Added to each estimate; may be negative. */
  readonly adjustment: number;
  /** At least the configured least. */
  readonly height: number;
}

/** The distance without adjustments, seconds. */
export function rawDistance(a: Coordinate, b: Coordinate): number {
  let sum = 0;
  for (let i = 0; i < dimensions; i++) sum += (a.vec[i]! - b.vec[i]!) ** 2;
  return Math.sqrt(sum) + a.height + b.height;
}

/** The estimated round trip, seconds. */
export function distance(a: Coordinate, b: Coordinate): number {
  const raw = rawDistance(a, b);
  const adjusted = raw + a.adjustment + b.adjustment;
  return adjusted > 0 ? adjusted : raw;
}

/** True if it is a place that can be. */
export function isValid(coordinate: Coordinate): boolean {
  const { vec, error, adjustment, height } = coordinate;
  const possible = (value: number) => Math.abs(value) <= maxSeconds; // False for NaN too.
  return vec.length === dimensions && vec.every(possible) && possible(adjustment) &&
    possible(height) && height >= 0 && possible(error) && error >= 0;
}

/** What an ack carries. */
export function encodeCoordinate(
  writer: SerfWriter,
  coordinate: Coordinate,
): Uint8Array<ArrayBuffer> {
  writer.reset().byte(payloadVersion).map(4).key("Adjustment");
  writer.float(coordinate.adjustment).key("Error");
  writer.float(coordinate.error).key("Height");
  writer.float(coordinate.height).key("Vec");
  writer.items(dimensions);
  for (const value of coordinate.vec) writer.float(value);
  return writer.copy();
}

/** Reads what an ack carries. @throws {WireError} if that is no valid coordinate. */
export function decodeCoordinate(payload: Uint8Array): Coordinate {
  if (payload[0] !== payloadVersion) {
    throw new WireError(`a coordinate of version ${payload[0]}, expected ${payloadVersion}`);
  }
  const reader = new SerfReader();
  reader.reset(payload, 1);
  const vec = new Float64Array(dimensions);
  let error = NaN, adjustment = NaN, height = NaN, found = 0;
  for (let left = reader.entries(64); left > 0; left--) {
    reader.raw();
    if (reader.is("Vec")) {
      found = reader.items(64);
      if (found !== dimensions) {
        throw new WireError(`a coordinate of ${found} dimensions, expected ${dimensions}`);
      }
      for (let i = 0; i < dimensions; i++) vec[i] = reader.float();
    } else if (reader.is("Error")) error = reader.float();
    else if (reader.is("Adjustment")) adjustment = reader.float();
    else if (reader.is("Height")) height = reader.float();
    else reader.skip();
  }
  const coordinate = { vec, error, adjustment, height };
  if (found === 0 || !isValid(coordinate)) throw new WireError("an impossible coordinate");
  return coordinate;
}
