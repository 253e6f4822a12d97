/**
 * Delivery: messages that are acknowledged, over links that come and go.
 *
 *   send -> OutgoingPeer (one a node) -> lane -> window -> the link in order
 *   link -> Incoming -> lane -> the messenger's handlers -> acknowledgement
 *
 * This file holds the two halves together: it finds the peer's state, tells it of
 * links, sorts the notices of `link.ack` to the half that they are for, opens the
 * database when the first guaranteed message needs it, and bounds the outbox.
 * What is promised stands in the contract, how it is kept in protocols/delivery.
 */
import type { Databases } from "../../contracts/databases.ts";
import {
  type AcknowledgedLevel,
  type ArrivedMessage,
  type DeliveredFields,
  type Delivery,
  maxGuaranteedBytes,
  type Taken,
  type WaitingMessages,
} from "../../contracts/delivery.ts";
import type { HealthReport } from "../../contracts/health.ts";
import type { SendOptions } from "../../contracts/messenger.ts";
import {
  linkDown,
  linkUp,
  type PeerLink,
  type Peers,
  sequencedMessages,
} from "../../contracts/peers.ts";
import { MycnetError } from "../../kernel/errors.ts";
import type { Host } from "../../kernel/host.ts";
import { decodeNotices, lanes } from "@mycnet/protocols/delivery";
import { isNodeId } from "@mycnet/protocols/identity";
import type { DeliveryConfig } from "./config.ts";
import { type Counters, newCounters } from "./counters.ts";
import { copyOf } from "../slab.ts";
import { Incoming, laneIndex } from "./incoming.ts";
import { OutgoingPeer } from "./outgoing.ts";
import { listen, type Outgoing } from "./outgoing_lane.ts";
import { aborted, OutboxRoom } from "./outbox_room.ts";
import { DeliveryStore, fileName } from "./store.ts";

/** Nodes with state for sending; idle ones are dropped beyond it. */
const maxOutgoing = 4096;

/** A guaranteed message as it is handed in. */
type NewMessage = Pick<Outgoing, "type" | "route" | "metadata" | "trace" | "body">;

/** What delivery is made with. */
export interface DeliverySetup {
  readonly host: Host;
  /** The id of this node. */
  readonly self: string;
  readonly peers: Peers;
  readonly databases: Databases;
  readonly config: DeliveryConfig;
}

/** The delivery of one node. */
export class NodeDelivery implements Delivery, Disposable {
  readonly #setup: DeliverySetup;
  readonly #counters: Counters = newCounters();
  readonly #outgoing = new Map<string, OutgoingPeer>();
  readonly #incoming: Incoming;
  readonly #room: OutboxRoom;
  readonly #stop = new AbortController();
  readonly #registrations = new DisposableStack();
  #receiver: ((message: ArrivedMessage) => Taken) | undefined;
  #store: DeliveryStore | undefined;
  #storeError: MycnetError | undefined;
  #turnStartMs: number | undefined;
  readonly #countFailure = () => void this.#counters.failed++;
  readonly #turnOver = () => void (this.#turnStartMs = undefined);

  /** Sends what an earlier start of this node left in the outbox. */
  constructor(setup: DeliverySetup) {
    this.#setup = setup;
    const { host, peers, config, databases } = setup;
    this.#room = new OutboxRoom(config);
    this.#incoming = new Incoming({
      host,
      peers,
      config,
      counters: this.#counters,
      store: () => this.#openStore(),
      receive: (message) => this.#receiver?.(message) ?? "busy",
    });
    const use = this.#registrations;
    use.use(peers.acks((link, payload) => this.#notices(link, payload)));
    use.use(peers.handle(sequencedMessages, {
      message: (link, fields, body, type) => this.#incoming.message(link, fields, body, type),
    }));
    use.use(host.on(linkUp, (link) => this.#outgoing.get(link.peer.id)?.linkUp()));
    use.use(host.on(linkDown, ({ link }) => this.#linkDown(link)));
    if (databases.exists(fileName)) this.#resume();
  }

  send(
    node: string,
    level: AcknowledgedLevel,
    type: number,
    { route, metadata, trace }: DeliveredFields,
    body: Uint8Array,
    options: SendOptions,
  ): Promise<void> {
    if (this.#stop.signal.aborted) return this.#refuse(this.#stop.signal.reason);
    if (options.signal?.aborted) return this.#refuse(aborted(options.signal));
    const index = laneIndex(options.priority);
    if (level === "guaranteed") {
      const message = { type, route, metadata, trace, body };
      const kept = this.#sendGuaranteed(node, index, message, options);
      kept.catch(this.#countFailure);
      return kept;
    }
    const peer = this.#peer(node);
    const lane = peer.volatile(index);
    const refused = options.wait === false
      ? lane.full(body.length) || this.#setup.peers.link(node)?.full === true
      : !lane.mayWait(body.length);
    if (refused) {
      return this.#refuse(
        new MycnetError("overloaded", `too much waits for node "${node}" already`),
      );
    }
    return new Promise((resolve, reject) => {
      const message: Outgoing = {
        type,
        route,
        metadata,
        trace,
        body,
        redelivered: false,
        resolve,
        reject,
        unlisten: undefined,
      };
      if (options.signal !== undefined) listen(options.signal, lane, message, this.#counters);
      lane.offer(message);
      peer.send(lane);
    });
  }

  receive(receiver: (message: ArrivedMessage) => Taken): Disposable {
    if (this.#receiver !== undefined) {
      throw new MycnetError("duplicate_handler", "messages that are acknowledged have a receiver");
    }
    this.#receiver = receiver;
    this.#incoming.retry();
    return {
      [Symbol.dispose]: () => {
        if (this.#receiver === receiver) this.#receiver = undefined;
      },
    };
  }

  retryUnhandled(): void {
    this.#incoming.retry();
  }

  waiting(): readonly WaitingMessages[] {
    return [...this.#outgoing].flatMap(([node, { lanes }]) =>
      lanes.map((lane): WaitingMessages => ({
        node,
        level: lane.space === "durable" ? "guaranteed" : "high",
        priority: lane.priority,
        messages: lane.size,
      })).filter(({ messages }) => messages > 0)
    );
  }

  /** Guaranteed messages that were taken and are not handled yet. */
  get held(): number {
    return this.#incoming.held;
  }

  /** What was counted, and what waits. */
  metrics(): Readonly<Record<string, number>> {
    const { acknowledged, retransmitted, failed, undelivered, duplicates, refused, failures } =
      this.#counters;
    let inFlight = 0;
    for (const { lanes } of this.#outgoing.values()) {
      for (const { window } of lanes) inFlight += window.unacknowledged;
    }
    return {
      messages_acknowledged: acknowledged,
      messages_retransmitted: retransmitted,
      failed_sends: failed,
      messages_undelivered: undelivered,
      messages_duplicate: duplicates,
      messages_refused: refused,
      guaranteed_failures: failures,
      messages_in_flight: inFlight,
      outbox_messages: this.#store?.rows ?? 0,
      outbox_bytes: this.#store?.bytes ?? 0,
    };
  }

  /** Degraded when there is a database that cannot be used. */
  health(): HealthReport {
    if (this.#storeError === undefined) return { status: "healthy" };
    return { status: "degraded", reason: this.#storeError.message };
  }

  /** Fails what is not guaranteed, acknowledges what was handled, closes the database. */
  [Symbol.dispose](): void {
    const closed = new MycnetError("closed", "this node is stopping or reloading");
    this.#registrations.dispose();
    // What was handled is on disk, and acknowledged, before the links say goodbye.
    this.#store?.flush();
    this.#incoming[Symbol.dispose]();
    this.#stop.abort(closed);
    this.#room.close(closed);
    for (const peer of this.#outgoing.values()) peer.close(closed);
    this.#outgoing.clear();
    this.#store?.[Symbol.dispose]();
    this.#store = undefined;
  }

  #sendGuaranteed(
    node: string,
    index: number,
    message: NewMessage,
    options: SendOptions,
  ): Promise<void> {
    const { length } = message.body;
    const problem = this.#whyNot(node, length);
    if (problem !== undefined) return Promise.reject(problem);
    const store = this.#store!;
    if (!this.#room.has(store, length)) {
      if (options.wait === false || !this.#room.mayWait(length)) {
        const why = `the outbox is full: ${store.rows} messages of ${store.bytes} bytes wait`;
        return Promise.reject(new MycnetError("overloaded", why));
      }
      return this.#room.wait(
        length,
        options.signal,
        () => this.#write(store, node, index, message),
      );
    }
    return this.#write(store, node, index, message);
  }

  #refuse(error: MycnetError): Promise<never> {
    this.#counters.failed++;
    return Promise.reject(error);
  }

  /** Writes a message into the outbox and sends it. Resolves when it is on disk. */
  #write(
    store: DeliveryStore,
    node: string,
    index: number,
    message: NewMessage,
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      const peer = this.#peer(node);
      const lane = peer.durable(index, store);
      const none = { resolve: undefined, reject: undefined, unlisten: undefined };
      // The sender may do with its bytes what it likes once they are on disk.
      const body = copyOf(message.body);
      lane.append({ ...message, ...none, body, redelivered: false }, (error) => {
        if (error !== undefined) {
          reject(error);
          return;
        }
        resolve();
        peer.sendSoon();
      });
    });
  }

  /** Why a guaranteed message cannot be taken, whatever waits. Opens the database. */
  #whyNot(node: string, bytes: number): MycnetError | undefined {
    if (this.#stop.signal.aborted) return this.#stop.signal.reason;
    if (!isNodeId(node)) {
      return new MycnetError("invalid_argument", `"${node}" is no node id`);
    }
    if (node === this.#setup.self) {
      return new MycnetError("unknown_peer", `"${node}" is this node itself`);
    }
    if (bytes > maxGuaranteedBytes) {
      const why = `a guaranteed message has at most ${maxGuaranteedBytes} bytes, this one ${bytes}`;
      return new MycnetError("too_large", why);
    }
    const { unavailable } = this.#setup.databases;
    if (unavailable !== undefined) {
      return new MycnetError("unavailable", unavailable, {
        remedy:
          "Make the node's folder with `mycnet init`, or name one in plugins.databases.folder.",
      });
    }
    return this.#openStore() === undefined ? this.#storeError : undefined;
  }

  /** The database; undefined if there can be none, which is said once. */
  #openStore(): DeliveryStore | undefined {
    if (this.#store !== undefined || this.#storeError !== undefined) return this.#store;
    const { host, databases } = this.#setup;
    if (databases.unavailable !== undefined || this.#stop.signal.aborted) return undefined;
    try {
      this.#store = new DeliveryStore(databases, host, () => this.#room.made(this.#store!));
    } catch (error) {
      this.#storeError = error as MycnetError;
      const { message, remedy } = this.#storeError;
      host.log.error("No guaranteed messages can be sent or taken", { error: message, remedy });
    }
    return this.#store;
  }

  /** Takes up what an earlier start left. */
  #resume(): void {
    const store = this.#openStore();
    if (store === undefined) return;
    for (const { node, lane, first, next } of store.pending()) {
      const peer = this.#peer(node);
      peer.durable(lane, store, first, next);
      peer.sendSoon();
    }
  }

  #peer(node: string): OutgoingPeer {
    let peer = this.#outgoing.get(node);
    if (peer !== undefined) return peer;
    if (this.#outgoing.size >= maxOutgoing) this.#dropIdle();
    const { host, peers, config } = this.#setup;
    peer = new OutgoingPeer({
      node,
      host,
      peers,
      config,
      counters: this.#counters,
      signal: this.#stop.signal,
      turnMs: () => this.#turnMs(),
    });
    this.#outgoing.set(node, peer);
    return peer;
  }

  #dropIdle(): void {
    for (const [node, peer] of this.#outgoing) {
      if (!peer.idle) continue;
      peer[Symbol.dispose]();
      this.#outgoing.delete(node);
    }
  }

  #linkDown(link: PeerLink): void {
    this.#incoming.linkDown(link);
    const { id } = link.peer;
    const peer = this.#outgoing.get(id);
    if (peer === undefined) return;
    peer.linkDown(link);
    if (!peer.idle || this.#setup.peers.link(id) !== undefined) return;
    peer[Symbol.dispose]();
    this.#outgoing.delete(id);
  }

  #notices(link: PeerLink, payload: Uint8Array): void {
    const notices = decodeNotices(payload);
    if (notices === undefined) {
      this.#counters.refused++;
      return;
    }
    for (const notice of notices) {
      try {
        if (notice.kind === "announce") this.#incoming.announced(link, notice);
        else {
          this.#outgoing.get(link.peer.id)?.handleNotice(link, notice, lanes.indexOf(notice.lane));
        }
      } catch (error) {
        // The disk does not do what this asks for. Whoever hears no answer says it again.
        this.#counters.refused++;
        this.#setup.host.log.error("What a node says of guaranteed messages could not be seen to", {
          node: link.peer.id,
          error: (error as Error).message,
        });
      }
    }
  }

  /** A reading of the clock for each message would be felt: one a turn will do. */
  #turnMs(): number {
    if (this.#turnStartMs === undefined) {
      this.#turnStartMs = this.#setup.host.now();
      queueMicrotask(this.#turnOver);
    }
    return this.#turnStartMs;
  }
}
