/**
 * The directory: what every node offers, as far as this node has heard.
 *
 * There is one record a node, written by its owner alone and replaced as a
 * whole: a higher generation (a new start) wins, and within a generation the
 * higher version. This file is the table and its rules; directory_sync.ts moves
 * records between nodes.
 *
 * A record outlives its owner for a while, since a lost link proves nothing.
 * Each node notes how long ago it was linked to the owner, and nodes tell each
 * other the ages of the records they hold; everybody believes the youngest. So
 * ages only grow once nobody is linked to the owner any more, everywhere alike,
 * and the record is dropped everywhere at about the same time and not handed
 * back by those who are slower. An owner that said goodbye is served no more,
 * but its record stays known until then, for the same reason.
 */
import type { Identity } from "../../contracts/identity.ts";
import type { ServiceDescription, ServiceRecord } from "../../contracts/services.ts";
import { MycnetError } from "../../kernel/errors.ts";
import type { Host } from "../../kernel/host.ts";
import {
  type ArrivedRecord,
  checkRecord,
  encodeRecord,
  isNewer,
  maxRecordBytes,
  recordHash,
  type RecordStamp,
  type SignedRecord,
  withoutSchemas,
} from "./record.ts";
import type { Serving, ServingView } from "./routing.ts";

/** The bounds of a directory. */
export interface DirectoryLimits {
  /** Records, this node's own not counted. */
  readonly maxRecords: number;
  /** Encoded records together, in bytes. */
  readonly maxBytes: number;
  /** How long a record outlives the last link to its owner, in milliseconds. */
  readonly recordTtlMs: number;
}

/** What has happened to records since the node started. */
export interface DirectoryCounts {
  accepted: number;
  /** Not signed by their owner, or not records at all. */
  rejected: number;
  /** For want of room. */
  dropped: number;
}

/** What {@linkcode Directory.accept} did. */
export type Acceptance = "accepted" | "known" | "rejected" | "dropped";

/** Versions above this are nobody's: a node that published a thousand times a second would need 285 years. */
const highestVersion = 2 ** 43;

interface Held {
  readonly signed: SignedRecord;
  /** Made when it is first asked for. */
  hash: string | undefined;
  readonly record: ServiceRecord;
  /** Monotonic time at which somebody was last linked to the owner. */
  heardAt: number;
  /** The owner said goodbye. */
  left: boolean;
}

/** What a directory is made with. */
export interface DirectoryParts {
  readonly host: Host;
  readonly identity: Identity;
  readonly limits: DirectoryLimits;
  /** Runs after every change of what is served where, or of somebody's addresses. */
  readonly changed: (record: ServiceRecord, gone: boolean) => void;
}

/** See the head of this file. */
export class Directory implements ServingView {
  readonly counts: DirectoryCounts = { accepted: 0, rejected: 0, dropped: 0 };
  revision = 0;
  readonly #host: Host;
  readonly #identity: Identity;
  readonly #limits: DirectoryLimits;
  readonly #changed: (record: ServiceRecord, gone: boolean) => void;
  readonly #held = new Map<string, Held>();
  readonly #serving = new Map<string, Map<string, Serving>>();
  #bytes = 0;
  #own: ServiceRecord;
  #ownBytes: Uint8Array;
  #ownSigned: SignedRecord | undefined;
  #ownHash: string | undefined;
  #warnedOfTwin = false;

  constructor({ host, identity, limits, changed }: DirectoryParts) {
    this.#host = host;
    this.#identity = identity;
    this.#limits = limits;
    this.#changed = changed;
    const { id, generation } = identity.self;
    this.#own = { node: id, generation, version: 1, addresses: [], services: [] };
    this.#ownBytes = encodeRecord(this.#own);
  }

  get size(): number {
    return this.#held.size + 1;
  }

  /** This node's own record. */
  get own(): ServiceRecord {
    return this.#own;
  }

  /**
   * Changes what this node says of itself.
   * @throws {MycnetError} `too_large` when even without JSON Schemas it does not fit a record; nothing is changed then.
   */
  publish(part: Partial<Pick<ServiceRecord, "addresses" | "services">>): void {
    const full = { ...this.#own, ...part, version: this.#own.version + 1 };
    let record = full;
    let bytes = encodeRecord(record);
    if (bytes.length > maxRecordBytes) {
      record = withoutSchemas(full);
      bytes = encodeRecord(record);
      if (bytes.length > maxRecordBytes) {
        throw new MycnetError(
          "too_large",
          `the services of this node take ${bytes.length} bytes in the directory, and a record has ` +
            `at most ${maxRecordBytes}; serve fewer, or shorter named, on one node`,
        );
      }
      this.#host.log.warn("The JSON Schemas do not fit the directory and are left out.", {
        services: full.services.length,
      });
    }
    const before = this.#own;
    this.#own = record;
    this.#ownBytes = bytes;
    this.#ownSigned = undefined;
    this.#ownHash = undefined;
    this.#reindex(before, record);
    this.#touched(record, false);
  }

  /** A record with its signature. */
  signed(node: string): SignedRecord | undefined {
    if (node !== this.#own.node) return this.#held.get(node)?.signed;
    const { generation, version } = this.#own;
    return this.#ownSigned ??= {
      node,
      generation,
      version,
      bytes: this.#ownBytes,
      proof: this.#identity.sign(this.#ownBytes),
    };
  }

  /** Which state of a node's record is held here. */
  stamp(node: string): RecordStamp | undefined {
    return node === this.#own.node ? this.#own : this.#held.get(node)?.signed;
  }

  /**
   * What gossip says of a node's record: a hash of it; empty where it serves nothing, or where
   * no record of it is held.
   */
  hash(node: string): string {
    if (node === this.#own.node) {
      if (this.#own.services.length === 0) return "";
      return this.#ownHash ??= recordHash(this.#ownBytes);
    }
    const held = this.#held.get(node);
    if (held === undefined || held.record.services.length === 0) return "";
    return held.hash ??= recordHash(held.signed.bytes);
  }

  /** Seconds since somebody was linked to the owner. */
  ageS(node: string): number {
    const held = this.#held.get(node);
    return held === undefined ? 0 : Math.floor((this.#host.now() - held.heardAt) / 1000);
  }

  /** The ids of all nodes with a record, sorted. */
  nodes(): string[] {
    return [...this.#held.keys(), this.#own.node].sort();
  }

  /** A record arrived. Never throws. */
  accept(arrived: ArrivedRecord): Acceptance {
    const { node, ageS } = arrived;
    if (node === this.#own.node) {
      this.#saidOfUs(arrived);
      return "known";
    }
    const held = this.#held.get(node);
    if (held !== undefined && !isNewer(arrived, held.signed)) {
      this.heard(arrived, ageS);
      return "known";
    }
    if (ageS * 1000 > this.#limits.recordTtlMs) return "known";
    const checked = checkRecord(arrived, this.#identity);
    if (!checked.ok) {
      this.counts.rejected++;
      this.#host.log.warn("A directory record is refused.", { node, reason: checked.reason });
      return "rejected";
    }
    const bytes = this.#bytes + arrived.bytes.length - (held?.signed.bytes.length ?? 0);
    const full = held === undefined && this.#held.size >= this.#limits.maxRecords;
    if (full || bytes > this.#limits.maxBytes) {
      this.counts.dropped++;
      return "dropped";
    }
    this.counts.accepted++;
    this.#bytes = bytes;
    const { generation, version, proof } = arrived;
    const { record } = checked;
    this.#held.set(node, {
      signed: { node, generation, version, bytes: arrived.bytes, proof },
      hash: undefined,
      record,
      heardAt: this.#host.now() - ageS * 1000,
      // Whoever says goodbye publishes nothing afterwards: a later version was merely slower.
      left: held !== undefined && held.left && held.signed.generation === generation,
    });
    this.#reindex(held?.record, record);
    this.#touched(record, false);
    return "accepted";
  }

  /** Somebody holds the same record and has heard of its owner `ageS` seconds ago. */
  heard({ node, generation, version }: RecordStamp, ageS: number): void {
    const held = this.#held.get(node);
    if (held?.signed.generation !== generation || held.signed.version !== version) return;
    held.heardAt = Math.max(held.heardAt, this.#host.now() - ageS * 1000);
  }

  /** There is a link to this start of the node. */
  linked(node: string, generation: number): void {
    const held = this.#held.get(node);
    if (held === undefined) return;
    held.heardAt = this.#host.now();
    if (held.left && held.signed.generation <= generation) this.#setLeft(held, false);
  }

  /** This start of the node said goodbye. */
  left(node: string, generation: number): void {
    const held = this.#held.get(node);
    if (held === undefined || held.left || held.signed.generation > generation) return;
    this.#setLeft(held, true);
  }

  /** Drops the records whose owners nobody has been linked to for too long. `linked` tells who has a link now. */
  sweep(linked: (node: string) => boolean): void {
    const now = this.#host.now();
    for (const [node, held] of this.#held) {
      if (linked(node)) held.heardAt = now;
      else if (now - held.heardAt > this.#limits.recordTtlMs) {
        this.#held.delete(node);
        this.#bytes -= held.signed.bytes.length;
        this.#reindex(held.record, undefined);
        this.#touched(held.record, true);
      }
    }
  }

  serving(service: string): readonly Serving[] {
    return [...this.#serving.get(service)?.values() ?? []];
  }

  /** Every record of a node that has not left, this node's first. */
  records(): ServiceRecord[] {
    const present = [...this.#held.values()].filter((it) => !it.left).map((it) => it.record);
    return [this.#own, ...present];
  }

  /**
   * Every service, in the highest version that somebody serves, with all nodes that serve it, sorted by name.
   * @param gone true for nodes that are left out.
   */
  services(
    gone: (node: string) => boolean = () => false,
  ): { readonly service: ServiceDescription; readonly nodes: readonly string[] }[] {
    const found = new Map<string, { service: ServiceDescription; nodes: string[] }>();
    for (const { node, services } of this.records()) {
      if (gone(node)) continue;
      for (const service of services) {
        const known = found.get(service.name);
        if (known === undefined) found.set(service.name, { service, nodes: [node] });
        else {
          known.nodes.push(node);
          if (service.version > known.service.version) known.service = service;
        }
      }
    }
    const names = [...found.keys()].sort();
    return names.map((name) => found.get(name)!).map(({ service, nodes }) => ({
      service,
      nodes: nodes.sort(),
    }));
  }

  /** What others hold as our own record. */
  #saidOfUs(arrived: ArrivedRecord): void {
    const { generation, version } = arrived;
    const own = this.#own;
    if (!isNewer(arrived, own)) return;
    const checked = checkRecord(arrived, this.#identity);
    if (!checked.ok || version > highestVersion) {
      this.counts.rejected++;
    } else if (generation === own.generation) {
      // Ours all the same, since it bears our signature: go on from there.
      this.#own = { ...own, version };
      this.publish({});
    } else if (!this.#warnedOfTwin) {
      this.#warnedOfTwin = true;
      this.#host.log.warn(
        "The directory holds a record of this node from a later start: its clock went back, or two nodes run under one id.",
        { generation: own.generation, theirs: generation },
      );
    }
  }

  #setLeft(held: Held, left: boolean): void {
    held.left = left;
    this.#reindex(left ? held.record : undefined, left ? undefined : held.record);
    this.#touched(held.record, left);
  }

  #reindex(before: ServiceRecord | undefined, after: ServiceRecord | undefined): void {
    for (const { name } of before?.services ?? []) {
      const nodes = this.#serving.get(name);
      nodes?.delete(before!.node);
      if (nodes?.size === 0) this.#serving.delete(name);
    }
    if (after === undefined || this.#held.get(after.node)?.left) return;
    const { node, generation } = after;
    const dialable = after.addresses.length > 0;
    for (const { name, version } of after.services) {
      let nodes = this.#serving.get(name);
      if (nodes === undefined) this.#serving.set(name, nodes = new Map());
      nodes.set(node, { node, generation, version, dialable });
    }
  }

  #touched(record: ServiceRecord, gone: boolean): void {
    this.revision++;
    this.#changed(record, gone);
  }
}
