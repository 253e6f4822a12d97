/** The raw limit as a process: one that serves the echo, one that calls it, or over memory both at once. */
import { copy, takeCopies } from "../bare/copy.ts";
import { EchoCaller, serveEcho } from "../bare/echo.ts";
import {
  type BareSocket,
  type CertificateFiles,
  connect,
  listen,
  memoryPair,
  type SocketKind,
} from "../bare/sockets.ts";
import { cpuUs } from "../lib/cpu.ts";
import { load, type LoadOptions, type Start } from "../lib/load.ts";
import { memory } from "../lib/memory.ts";
import { programArgument, serveCommands } from "../lib/program.ts";
import { oneWayBytes, sampleBytes, sampleOrder } from "../lib/sample.ts";

/** What a bare process is started with. */
export interface BareArgument {
  readonly kind: SocketKind | "memory";
  /** Of this side; for `tls`. */
  readonly files?: CertificateFiles;
  /** Whom to call; absent for the one that serves. */
  readonly address?: string;
  /** Copy bytes instead of calling. Default false. */
  readonly copies?: boolean;
  /** How many connections to open beside the one that calls. Default none. */
  readonly idle?: number;
}

if (import.meta.main) {
  const { kind, files, address, copies = false, idle = 0 } = programArgument<BareArgument>();
  const held: BareSocket[] = [];
  let ready = "";
  let caller: EchoCaller | undefined;
  if (kind === "memory") {
    const [near, far] = memoryPair();
    serveEcho(far);
    caller = new EchoCaller(near);
  } else if (address === undefined) {
    const listener = await listen(kind, files, (socket) => {
      held.push(socket);
      if (copies) takeCopies(socket);
      else serveEcho(socket);
    });
    ready = listener.address;
  } else {
    for (let i = 0; i < idle; i++) {
      const socket = await connect(kind, files, address);
      held.push(socket);
      socket.open(() => {});
    }
    const socket = await connect(kind, files, address);
    held.push(socket);
    if (!copies) caller = new EchoCaller(socket);
  }
  const starts: Record<string, Start> = {
    message: (done) => caller!.call(sampleBytes, done),
    coded: (done) => caller!.callCoded(sampleOrder, done),
  };
  await serveCommands(ready, {
    load: (options) => load(starts, options as LoadOptions),
    flood: (ms) => caller!.flood(oneWayBytes, ms as number),
    copy: (ms) => copy(held[0], kind === "deno" ? 1 : 4, ms as number),
    connections: () => held.length,
    cpu: cpuUs,
    memory,
  });
  Deno.exit(0); // Sockets are open; nobody needs them any more.
}
