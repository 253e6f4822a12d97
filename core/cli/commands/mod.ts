/** The built-in commands, in the order in which help lists them. A new command is one line here. */
import type { Command } from "../command.ts";
import { call } from "./call.ts";
import { cp } from "./cp.ts";
import { event } from "./event.ts";
import { forceLeave } from "./force_leave.ts";
import { init } from "./init.ts";
import { keyring } from "./keyring.ts";
import { members } from "./members.ts";
import { node } from "./node.ts";
import { peers } from "./peers.ts";
import { query } from "./query.ts";
import { rtt } from "./rtt.ts";
import { schema } from "./schema.ts";
import { services } from "./services.ts";
import { status } from "./status.ts";
import { version } from "./version.ts";

/** The table. */
export const builtInCommands: readonly Command[] = [
  init,
  node,
  status,
  peers,
  members,
  services,
  call,
  cp,
  event,
  query,
  rtt,
  keyring,
  forceLeave,
  schema,
  version,
];
