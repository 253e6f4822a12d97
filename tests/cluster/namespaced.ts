/** Nodes of a test cluster in network namespaces of their own. */
import type { Namespaces } from "../harness/namespaces.ts";
import { Child, nodeArguments, rootPath, taskPermissions } from "../harness/processes.ts";
import { type Declared, running, type RunningProcess, type TestCluster } from "./cluster.ts";

/** Declares a node that listens at its namespace's address, starts it there, and waits until it is up. */
export async function startInside(
  network: Namespaces,
  cluster: TestCluster,
  id: string,
  { node, plugins }: Declared,
): Promise<RunningProcess> {
  const bindAddress = `${network.address(id)}:7000`;
  await cluster.declare(id, [], {
    node: { bindAddress, ...node },
    ...(plugins === undefined ? {} : { plugins }),
  });
  const [program, args] = network.inside(id, [
    Deno.execPath(),
    "run",
    "--quiet",
    "--no-prompt",
    ...taskPermissions("node"),
    `${rootPath}mod.ts`,
    ...nodeArguments,
    "--config",
    cluster.configPath(id),
  ]);
  return await running(new Child(program, args), cluster.stateDir);
}
