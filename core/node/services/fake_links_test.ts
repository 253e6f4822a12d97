/**
 * Fake links for the tests of this room: they carry exchanges as real ones do
 * (order, credit, bytes that are valid during the call only), and can be cut or
 * made silent.
 */
import {
  type Exchange,
  type ExchangeHandlers,
  type IncomingExchange,
  type IncomingHandlers,
  linkDown,
  type LinkInfo,
  linkUp,
  type MessageHandler,
  peerDown,
  type PeerHint,
  type PeerInfo,
  type PeerLink,
  type Peers,
} from "../../contracts/peers.ts";
import { MycnetError } from "../../kernel/errors.ts";
import type { Host } from "../../kernel/host.ts";
import { type MessageFields, noFields } from "@mycnet/protocols/frame";
import type { NodeDescription } from "@mycnet/protocols/identity";
import type { ResetCode } from "@mycnet/protocols/link";

/** Credit of one direction of an exchange in bytes. */
export const windowBytes = 4096;

type Closed = Parameters<ExchangeHandlers["closed"]>[0];

/** One end of an exchange. */
class FakeExchange implements IncomingExchange {
  readonly link: FakeLink;
  other!: FakeExchange;
  handlers: ExchangeHandlers | IncomingHandlers | undefined;
  over = false;
  credit = windowBytes;
  /** True once the request has arrived. */
  arrived = false;
  blocked = false;

  constructor(link: FakeLink) {
    this.link = link;
  }

  item(body: Uint8Array): boolean {
    if (this.over) return false;
    this.credit -= body.length;
    this.#tell((it, bytes) => it.item(bytes), body);
    this.blocked = this.credit <= 0;
    return !this.blocked;
  }

  end(): void {
    this.#tell((it) => it.end());
  }

  widen(): void {}

  grant(bytes: number): void {
    if (this.over) return;
    this.link.carry(() => {
      const { other } = this;
      other.credit += bytes;
      if (other.over || !other.blocked || other.credit <= 0) return;
      other.blocked = false;
      other.handlers?.writable();
    });
  }

  reset(code: ResetCode, message = ""): void {
    if (this.over) return;
    this.#tell((it) => it.closed({ code, message, sent: true }), undefined, true);
  }

  respond(body: Uint8Array, fields: MessageFields = noFields): boolean {
    if (this.over) return true;
    this.#tell((it, bytes) => (it as ExchangeHandlers).response(fields, bytes), body, true);
    return true;
  }

  fail(body: Uint8Array, fields: MessageFields = noFields): void {
    if (this.over) return;
    this.#tell((it, bytes) => (it as ExchangeHandlers).failure(fields, bytes), body, true);
  }

  lose(reason: Closed): void {
    if (this.over) return;
    this.over = true;
    this.link.exchanges.delete(this);
    this.handlers?.closed(reason);
  }

  #tell(
    tell: (handlers: ExchangeHandlers | IncomingHandlers, bytes: Uint8Array) => void,
    body: Uint8Array = new Uint8Array(0),
    last = false,
  ): void {
    if (this.over) return;
    if (last) {
      this.over = true;
      this.link.exchanges.delete(this);
    }
    const bytes = body.slice();
    this.link.carry(() => {
      const { other } = this;
      if (other.over) return;
      if (last) {
        other.over = true;
        other.link.exchanges.delete(other);
      }
      if (other.handlers !== undefined) tell(other.handlers, bytes);
      bytes.fill(0xdd);
    });
  }
}

/** One end of a link between two fake nodes. */
export class FakeLink implements PeerLink {
  readonly id: string;
  readonly peer: NodeDescription;
  readonly owner: FakePeers;
  other!: FakeLink;
  usable = true;
  /** Undefined: there is room. */
  noRoom: PromiseWithResolvers<void> | undefined;
  health: LinkInfo["health"] = "healthy";
  roundTripMs: number | undefined = 1;
  readonly exchanges = new Set<FakeExchange>();
  /** True: what is sent from this end never arrives. */
  silent = false;
  /** Exchanges opened from this end. */
  opened = 0;
  /** Messages sent from this end. */
  sent = 0;

  constructor(owner: FakePeers, peer: NodeDescription, id: string) {
    this.owner = owner;
    this.peer = peer;
    this.id = id;
  }

  get info(): LinkInfo {
    const { id, health, roundTripMs } = this;
    return { id, health, roundTripMs, state: this.usable ? "up" : "closed" } as LinkInfo;
  }

  send(type: number, fields: MessageFields, body: Uint8Array): boolean {
    if (!this.usable) throw new MycnetError("unavailable", "the link is closed");
    this.sent++;
    const bytes = body.slice();
    this.carry(() => {
      this.other.owner.handlers.get(type)?.message?.(this.other, fields, bytes, type);
      bytes.fill(0xdd);
    });
    return true;
  }

  open(
    type: number,
    fields: MessageFields,
    body: Uint8Array,
    upload: boolean,
    handlers: ExchangeHandlers,
  ): Exchange {
    if (!this.usable) throw new MycnetError("unavailable", "the link is closed");
    this.opened++;
    const near = new FakeExchange(this);
    const far = new FakeExchange(this.other);
    near.other = far;
    far.other = near;
    near.handlers = handlers;
    this.exchanges.add(near);
    const bytes = body.slice();
    this.carry(() => {
      if (near.over) return;
      near.arrived = true;
      this.other.exchanges.add(far);
      const handler = this.other.owner.handlers.get(type);
      if (handler?.request === undefined) far.reset("unhandled");
      else far.handlers = handler.request(far, fields, bytes, upload);
      bytes.fill(0xdd);
    });
    return near;
  }

  get full(): boolean {
    return this.noRoom !== undefined;
  }

  writable(): Promise<void> {
    if (this.noRoom !== undefined) return this.noRoom.promise;
    return this.usable ? Promise.resolve() : Promise.reject(new MycnetError("unavailable", "gone"));
  }

  ack(): void {}

  drain(): Promise<void> {
    this.cut();
    return Promise.resolve();
  }

  /** Delivers in order, in a later microtask, unless this end is silent by then. */
  carry(run: () => void): void {
    queueMicrotask(() => {
      if (!this.silent && this.usable) run();
    });
  }

  /** The link breaks at both ends at once. Without `sent`, exchanges that have not arrived are told that nothing was sent. */
  cut(sent = true, left = false): void {
    for (const end of [this, this.other]) {
      if (!end.usable) continue;
      end.usable = false;
      end.owner.lost(end, left && end.peer.id === this.owner.self.id);
      for (const exchange of [...end.exchanges]) {
        const message = "the link was lost";
        exchange.lose({ code: "link_lost", message, sent: sent || exchange.arrived });
      }
    }
  }
}

/** Links two nodes by their ids; undefined when there is no such node. */
export type FakeDial = (from: string, to: string) => FakeLink | undefined;

/** The peers of a fake node. */
export class FakePeers implements Peers {
  readonly self: NodeDescription;
  readonly handlers = new Map<number, MessageHandler>();
  readonly hints: PeerHint[] = [];
  readonly #dial: FakeDial;
  readonly #host: Host;
  readonly #links = new Map<string, FakeLink>();
  readonly #lost = new Map<string, PeerInfo>();
  /** Ids of nodes that answer no dial. */
  readonly unreachable = new Set<string>();
  /** Dials so far. */
  dials = 0;

  constructor(dial: FakeDial, host: Host, self: NodeDescription) {
    this.#dial = dial;
    this.#host = host;
    this.self = self;
  }

  list(): readonly PeerInfo[] {
    return [];
  }

  get(id: string): PeerInfo | undefined {
    return this.#lost.get(id);
  }

  link(id: string): FakeLink | undefined {
    return this.#links.get(id);
  }

  links(): readonly FakeLink[] {
    return [...this.#links.values()];
  }

  async connect(target: string): Promise<PeerLink> {
    this.dials++;
    await Promise.resolve();
    const known = this.#links.get(target);
    if (known !== undefined) return known;
    const link = this.unreachable.has(target) ? undefined : this.#dial(this.self.id, target);
    if (link === undefined) throw new MycnetError("unreachable", `${target} does not answer`);
    return link;
  }

  learn(hint: PeerHint): Disposable {
    this.hints.push(hint);
    return { [Symbol.dispose]: () => void this.hints.splice(this.hints.indexOf(hint), 1) };
  }

  handle(type: number, handler: MessageHandler): Disposable {
    if (this.handlers.has(type)) throw new MycnetError("duplicate_handler", `type ${type}`);
    this.handlers.set(type, handler);
    return { [Symbol.dispose]: () => void this.handlers.delete(type) };
  }

  acks(): Disposable {
    return { [Symbol.dispose]() {} };
  }

  disconnect(id: string): Promise<void> {
    this.#links.get(id)?.cut();
    return Promise.resolve();
  }

  up(link: FakeLink): void {
    this.#links.set(link.peer.id, link);
    this.#lost.delete(link.peer.id);
    this.#host.emit(linkUp, link);
  }

  lost(link: FakeLink, left: boolean): void {
    this.#links.delete(link.peer.id);
    this.#lost.set(link.peer.id, {
      ...link.peer,
      state: left ? "left" : "dead",
      health: "unhealthy",
      addresses: [`memory://${link.peer.id}`],
      links: [],
      lastSeen: 0,
    });
    this.#host.emit(linkDown, { link, reason: "lost" });
    this.#host.emit(peerDown, { peer: link.peer, reason: "lost", left });
  }
}
