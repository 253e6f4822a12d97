/**
 * The house rules that need a syntax tree, as a plugin of `deno lint`: editors
 * show them while one types, and tests/tidy_test.ts runs them over every file
 * without regard to `deno-lint-ignore`, so exemptions stand in the table below
 * and nowhere else.
 *
 * `host-only`: time, timers and randomness come through `Host`; one file holds
 * the real thing. `pure-protocols`: what the types of protocols/pure.json do
 * not catch. `no-as-any`, `no-skipped-tests`: what their names say.
 */
import { isTest } from "./tree.ts";

/** Files that may read clocks, timers and randomness by themselves, and why. Tests and benches may too. */
export const impure: ReadonlyMap<string, string> = new Map([
  ["core/kernel/real_host.ts", "it is the real Host"],
  ["core/simulation/traps.ts", "it replaces these very functions while a simulation runs"],
  ["core/node/identity/keys.ts", "keys are made with node:crypto, whose randomness is its own"],
]);

const viaHost: Readonly<Record<string, string>> = {
  "Date.now": "host.wallTime() or host.now()",
  "Math.random": "host.random()",
  "performance.now": "host.now()",
  "performance.timeOrigin": "host.now()",
  "Temporal.Now": "host.wallTime()",
  "AbortSignal.timeout": "an AbortController and host.after()",
  "crypto.getRandomValues": "host.randomBytes()",
  "crypto.randomUUID": "host.id()",
  "crypto.randomBytes": "host.randomBytes()",
  "crypto.randomInt": "host.random()",
  "crypto.randomFillSync": "host.randomBytes()",
  "crypto.webcrypto": "host.randomBytes()",
  "crypto.subtle": "synchronous node:crypto, which the simulator can repeat",
};
const timers: Readonly<Record<string, string>> = {
  setTimeout: "host.after()",
  setInterval: "host.every()",
  setImmediate: "host.barrier()",
};
const randomImports = new Set(
  ["randomBytes", "randomInt", "randomUUID", "randomFill", "randomFillSync", "webcrypto"],
);
const globals = new Set(["globalThis", "window", "self"]);
/** What a pure file may not name; the types refuse most of it, a cast could bring it back. */
const impureNames = new Set(
  ["Deno", "globalThis", "WeakRef", "FinalizationRegistry", "performance", "Date"],
);

/** The file's path within the repository, whatever `deno lint` was given. */
function pathOf(filename: string): string {
  const root = new URL("../../", import.meta.url).pathname;
  return filename.startsWith(root) ? filename.slice(root.length) : filename.replace(/^\.\//, "");
}

/** True for an identifier that names a variable: not a property's name, a key, or a label. */
function isReference(node: Deno.lint.Identifier): boolean {
  const parent = node.parent as unknown as Record<string, unknown> & { type: string };
  if (parent.type === "MemberExpression") {
    return parent.object === node || parent.computed === true ||
      globals.has((parent.object as { name?: string }).name ?? "");
  }
  if (parent.type === "Property") return parent.value === node;
  if (parent.type.startsWith("TS") && !/^TS(As|NonNull|Satisfies)/.test(parent.type)) return false;
  return !/Specifier$|^(MethodDefinition|PropertyDefinition|AccessorProperty)$/.test(parent.type) ||
    parent.value === node;
}

/** `a.b` of a member expression, without a leading `globalThis.`. */
function memberName(node: Deno.lint.MemberExpression): string {
  const name = (it: Deno.lint.Node): string =>
    it.type === "Identifier"
      ? it.name
      : it.type === "Literal"
      ? String(it.value)
      : it.type === "MemberExpression"
      ? memberName(it)
      : "?";
  const full = `${name(node.object)}.${name(node.property)}`;
  return full.replace(/^(globalThis|window|self)\./, "");
}

const hostOnly: Deno.lint.Rule = {
  create(context) {
    const path = pathOf(context.filename);
    if (isTest(path) || impure.has(path)) return {};
    const report = (node: Deno.lint.Node, what: string, instead: string) =>
      context.report({
        node,
        message: `${what} reads the world behind the simulator's back; use ${instead}`,
      });
    return {
      MemberExpression(node) {
        const name = memberName(node);
        const instead = viaHost[name];
        if (instead !== undefined) report(node, name, instead);
      },
      NewExpression(node) {
        if (
          node.callee.type === "Identifier" && node.callee.name === "Date" &&
          node.arguments.length === 0
        ) report(node, "new Date()", "new Date(host.wallTime())");
      },
      CallExpression(node) {
        if (node.callee.type === "Identifier" && node.callee.name === "Date") {
          report(node, "Date()", "new Date(host.wallTime())");
        }
      },
      VariableDeclarator(node) {
        if (node.id.type === "ObjectPattern" && node.init?.type === "Identifier") {
          for (const property of node.id.properties) {
            const key = property.type === "Property" && property.key.type === "Identifier"
              ? property.key.name
              : "?";
            const instead = viaHost[`${node.init.name}.${key}`];
            if (instead !== undefined) report(node, `${node.init.name}.${key}`, instead);
          }
        }
      },
      Identifier(node) {
        const instead = timers[node.name];
        if (instead !== undefined && isReference(node)) report(node, node.name, instead);
      },
      ImportDeclaration(node) {
        const from = node.source.value;
        if (/^node:timers/.test(from)) report(node, from, "host.after(), host.sleep()");
        if (!/^node:crypto$/.test(from)) return;
        for (const specifier of node.specifiers) {
          const name = specifier.type === "ImportSpecifier" && "name" in specifier.imported
            ? specifier.imported.name
            : undefined;
          if (name !== undefined && randomImports.has(name)) {
            report(specifier, `${name} of node:crypto`, "host.randomBytes()");
          }
        }
      },
    };
  },
};

const pureProtocols: Deno.lint.Rule = {
  create(context) {
    const path = pathOf(context.filename);
    if (!path.startsWith("protocols/") || isTest(path) || impure.has(path)) return {};
    const report = (node: Deno.lint.Node, what: string) =>
      context.report({
        node,
        message:
          `${what} has no place in protocols/: take what it gives as an argument, or move this to core/`,
      });
    return {
      Program(node) {
        for (const comment of context.sourceCode.getAllComments()) {
          if (/^\/\s*<reference\s+(lib|types)/.test(comment.value)) report(node, "reference lib");
        }
      },
      Identifier(node) {
        if (impureNames.has(node.name) && isReference(node)) report(node, node.name);
      },
      ImportDeclaration(node) {
        if (node.source.value.startsWith("node:")) report(node, node.source.value);
      },
      ImportExpression(node) {
        report(node, "import()");
      },
    };
  },
};

const noAsAny: Deno.lint.Rule = {
  create(context) {
    return {
      TSAsExpression(node) {
        if (node.typeAnnotation.type === "TSAnyKeyword") {
          context.report({ node, message: "say the type that is meant instead of `as any`" });
        }
      },
    };
  },
};

const noSkippedTests: Deno.lint.Rule = {
  create(context) {
    return {
      MemberExpression(node) {
        const name = memberName(node);
        if (/^(Deno\.test|test|t\.step)\.(only|ignore|skip)$/.test(name)) {
          context.report({
            node,
            message: `${name} leaves tests out: run them all, or delete them`,
          });
        }
      },
      CallExpression(node) {
        const callee = node.callee.type === "MemberExpression"
          ? memberName(node.callee)
          : node.callee.type === "Identifier"
          ? node.callee.name
          : "";
        if (!/^(Deno\.test|\w*[tT]est|t\.step)$/.test(callee)) return;
        for (const argument of node.arguments) {
          if (argument.type !== "ObjectExpression") continue;
          for (const it of argument.properties) {
            if (it.type !== "Property" || it.key.type !== "Identifier") continue;
            const { name } = it.key;
            const literal = it.value.type === "Literal" && it.value.value === true;
            if (literal && (name === "only" || name === "ignore")) {
              context.report({
                node: it,
                message: `\`${name}: true\` leaves tests out: run them all, or delete them`,
              });
            }
          }
        }
      },
    };
  },
};

/** The plugin, named in deno.json under `lint.plugins`. */
const house: Deno.lint.Plugin = {
  name: "house",
  rules: {
    "host-only": hostOnly,
    "pure-protocols": pureProtocols,
    "no-as-any": noAsAny,
    "no-skipped-tests": noSkippedTests,
  },
};
export default house;
