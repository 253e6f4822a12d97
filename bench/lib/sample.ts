/** What is sent: 64 bytes for messages, a small order for typed calls, the same on both sides of a ratio. */

/** The body of a message. */
export const sampleBytes: Uint8Array<ArrayBuffer> = Uint8Array.from({ length: 64 }, (_, i) => i);

/** The body of a one-way message. */
export const oneWayBytes: Uint8Array<ArrayBuffer> = Uint8Array.from({ length: 100 }, (_, i) => i);

/** An order: five fields of four kinds, 60 bytes in MessagePack. */
export interface Order {
  readonly id: number;
  readonly symbol: string;
  readonly quantity: number;
  readonly price: number;
  readonly tags: string[];
}

/** The input of a typed call, and its answer. */
export const sampleOrder: Order = {
  id: 70_001,
  symbol: "OAK",
  quantity: 250,
  price: 17.25,
  tags: ["limit", "day"],
};
