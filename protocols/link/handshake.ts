/**
 * The handshake: may this peer and this node have a link, and what is it like?
 *
 * Both sides send hello at once. Whoever has the other's hello checks it, in
 * the order below, and answers with accept, which carries a hash of both hellos
 * as they went over the wire, or with refuse, which says why. A side is up when
 * it has sent accept and received one with the same hash: then both have seen
 * the same hellos and computed the same profile.
 *
 *     authentication > hello well-formed > version > cluster > self, duplicate id
 *     > certificate against hello > node that was dialled > profile > admission
 *
 * Once it is up, a link keeps the agreement and lets go of the rest.
 */
import { FrameError } from "../frame/header.ts";
import { messageClasses, messageTypeName, messageTypes } from "../frame/types.ts";
import type { NodeDescription } from "../identity/principal.ts";
import { samePrincipal } from "../identity/spiffe.ts";
import { type Hello, minProtocolVersion, protocolVersion } from "../negotiation/hello.ts";
import { decodeHello, encodeHello } from "../negotiation/hello_codec.ts";
import {
  commonVersion,
  negotiate,
  transcriptBytes,
  versionText,
} from "../negotiation/negotiate.ts";
import type { NegotiatedProfile } from "../negotiation/profile.ts";
import { type Accept, decodeAccept, decodeReason, encodeAccept } from "./control.ts";
import type { LinkLimits, LinkOptions, Refusal } from "./types.ts";

/** What a frame of the handshake comes to. */
export type HandshakeStep =
  | { readonly kind: "ignore" }
  /** The hello is good: answer with accept. */
  | { readonly kind: "accept"; readonly payload: Uint8Array }
  /** Both have accepted. */
  | { readonly kind: "up" }
  /** We refuse. */
  | { readonly kind: "refuse"; readonly refusal: Refusal }
  /** The peer refused. */
  | { readonly kind: "refused"; readonly code: string; readonly message: string };

/** What a handshake that is done comes to. */
export interface Agreement {
  /** Who is at the other end. */
  readonly peer: NodeDescription;
  /** What the link is like. */
  readonly profile: NegotiatedProfile;
  /** Which of the links between the two nodes this is. */
  readonly slot: number;
}

/** One side's handshake. */
export class Handshake {
  /** What the link was made with. */
  readonly options: LinkOptions;
  /** Our hello, as it is sent. */
  readonly ours: Uint8Array;
  /** The other side's, once it has been judged good. */
  hello: Hello | undefined;
  /** The profile that both hellos come to. */
  profile: NegotiatedProfile | undefined;
  /** What frames say from now on: our own version within the major that both speak. */
  frameVersion: number = protocolVersion;
  readonly #self: Hello;
  #transcript: Uint8Array | undefined;
  #heard = false;

  /** Prepares our hello. */
  constructor(options: LinkOptions, limits: LinkLimits) {
    this.options = options;
    this.#self = {
      version: protocolVersion,
      minVersion: minProtocolVersion,
      node: options.self,
      addresses: options.addresses,
      ...(options.gossip === undefined ? {} : { gossip: options.gossip }),
      capabilities: options.capabilities,
      limits: {
        maxFrameBytes: limits.maxFrameBytes,
        streamWindowBytes: limits.streamWindowBytes,
        maxExchanges: limits.maxExchanges,
        maxStreams: limits.maxStreams,
      },
      profiles: options.profiles,
      slot: options.role === "dialer" ? options.slot ?? 0 : 0,
      nonce: options.nonce,
    };
    this.ours = encodeHello(this.#self);
  }

  /** Which of the links between the two nodes this is: what the dialler said. */
  get slot(): number {
    return this.options.role === "dialer" ? this.#self.slot : this.hello?.slot ?? 0;
  }

  /**
   * Takes a frame that arrived before the link was up.
   * @throws {FrameError} if it has no place here.
   */
  handle(version: number, type: number, payload: Uint8Array): HandshakeStep {
    switch (type) {
      case messageTypes["link.hello"]:
        return this.#judge(payload, version);
      case messageTypes["link.accept"]: {
        const refusal = this.#verify(payload);
        return refusal === undefined ? { kind: "up" } : { kind: "refuse", refusal };
      }
      case messageTypes["link.refuse"]:
        return { kind: "refused", ...decodeReason("refuse", payload) };
      default:
        if (version > protocolVersion && type >> 8 === messageClasses.link) {
          return { kind: "ignore" };
        }
        throw new FrameError("peer", `a ${messageTypeName(type)} frame before the link was up`);
    }
  }

  #judge(theirs: Uint8Array, frameVersion: number): HandshakeStep {
    const refuse = (code: Refusal["code"], message: string): HandshakeStep => ({
      kind: "refuse",
      refusal: { code, message },
    });
    if (this.#heard) return refuse("protocol", "a second hello");
    this.#heard = true;
    const decoded = decodeHello(theirs);
    if (!decoded.ok) {
      return frameVersion >> 8 === protocolVersion >> 8
        ? refuse("protocol", decoded.message)
        : refuse(
          "version",
          `version ${versionText(frameVersion)} of the wire is not understood here, where ` +
            `${versionText(protocolVersion)} is spoken`,
        );
    }
    const hello = decoded.value;
    const refusal = this.#checkNode(hello);
    if (refusal !== undefined) return { kind: "refuse", refusal };
    const options = this.options;
    const outcome = negotiate(this.#self, hello, options.encryption);
    if (!outcome.ok) return refuse(outcome.code, outcome.message);
    const admission = options.admit?.(hello);
    if (admission !== undefined) return { kind: "refuse", refusal: admission };
    this.hello = hello;
    this.profile = outcome.profile;
    // A newer minor version says so in its frames; a newer major speaks the older one.
    if (outcome.version >> 8 !== protocolVersion >> 8) this.frameVersion = outcome.version;
    const [dialer, acceptor] = options.role === "dialer"
      ? [this.ours, theirs]
      : [theirs, this.ours];
    this.#transcript = options.digest(transcriptBytes(dialer, acceptor, options.encryption));
    return {
      kind: "accept",
      payload: encodeAccept({ transcript: this.#transcript, inForce: outcome.profile.inForce }),
    };
  }

  /** Checks the other side's accept; a refusal if it is not about the same hellos. */
  #verify(payload: Uint8Array): Refusal | undefined {
    const ours = this.#transcript;
    if (ours === undefined) return { code: "protocol", message: "accept came before hello" };
    const { transcript, inForce }: Accept = decodeAccept(payload);
    if (transcript.length !== ours.length || !transcript.every((byte, i) => byte === ours[i])) {
      return {
        code: "transcript",
        message: "the two ends saw different hellos: something between them changed one",
      };
    }
    const mine = this.profile!.inForce;
    if (
      inForce.encryption !== mine.encryption || inForce.compression !== mine.compression ||
      inForce.reliability !== mine.reliability
    ) {
      return {
        code: "profile",
        message: "the two ends computed different profiles: their versions disagree",
      };
    }
    return undefined;
  }

  #checkNode(hello: Hello): Refusal | undefined {
    const { self, authentication, expected } = this.options;
    // The version first: what follows may mean something else in another one.
    const version = commonVersion(this.#self, hello);
    if (typeof version === "string") return { code: "version", message: version };
    const { node } = hello;
    if (node.cluster !== self.cluster) {
      return {
        code: "cluster",
        message: `this is cluster ${self.cluster}, not ${node.cluster}: check the address`,
      };
    }
    if (node.id === self.id) {
      return node.generation === self.generation
        ? { code: "self", message: "this node dialled itself" }
        : {
          code: "duplicate",
          message: `another node calls itself ${node.id} too: every node needs an id of its own`,
        };
    }
    if (
      authentication.kind === "verified" && !samePrincipal(authentication.principal, node)
    ) {
      const { type, id, cluster } = authentication.principal;
      return {
        code: "identity",
        message: `hello says ${node.type} ${node.id}, the certificate says ${type} ${id} of ` +
          `${cluster}: use the certificate that was issued for this node`,
      };
    }
    if (expected !== undefined && node.id !== expected) {
      return {
        code: "wrong_node",
        message: `${expected} was dialled and ${node.id} answered: the address is out of date`,
      };
    }
    return undefined;
  }
}
