/**
 * What a file imports and exports, read from its syntax tree: Deno's own parser,
 * reached through its lint interface, so there is no second grammar to keep.
 * Only a literal can be followed; a computed `import()` shows as undefined.
 */
import { lineAt, type SourceFile } from "./tree.ts";

/** One import, re-export, `import()` or `import("...")` type. */
export interface Import {
  /** As written. Undefined where it is computed. */
  readonly specifier: string | undefined;
  readonly line: number;
  /** Only types travel: nothing of it is left at run time. */
  readonly typeOnly: boolean;
  /** An `import()`: loaded when reached, so it makes no cycle at start. */
  readonly dynamic: boolean;
}

/** A file and what its syntax tree says. */
export interface ScannedFile extends SourceFile {
  readonly imports: readonly Import[];
  readonly hasDefaultExport: boolean;
}

/** Scans one file. */
export function scan(file: SourceFile): ScannedFile {
  const imports: Import[] = [];
  let hasDefaultExport = false;
  const add = (
    node: Deno.lint.Node,
    specifier: unknown,
    { typeOnly = false, dynamic = false } = {},
  ) => {
    const line = lineAt(file.text, node.range[0]);
    const literal = typeof specifier === "string" ? specifier : undefined;
    imports.push({ specifier: literal, line, typeOnly, dynamic });
  };
  const collector: Deno.lint.Plugin = {
    name: "scan",
    rules: {
      imports: {
        create: () => ({
          ImportDeclaration(node) {
            const { specifiers } = node;
            const typeOnly = node.importKind === "type" || specifiers.length > 0 &&
                specifiers.every((it) => it.type === "ImportSpecifier" && it.importKind === "type");
            add(node, node.source.value, { typeOnly });
          },
          ExportNamedDeclaration(node) {
            if (!node.source) return;
            add(node, node.source.value, { typeOnly: node.exportKind === "type" });
          },
          ExportAllDeclaration(node) {
            add(node, node.source.value, { typeOnly: node.exportKind === "type" });
          },
          ExportDefaultDeclaration() {
            hasDefaultExport = true;
          },
          ImportExpression(node) {
            const value = node.source.type === "Literal" ? node.source.value : undefined;
            add(node, value, { dynamic: true });
          },
          TSImportType(node) {
            const { argument } = node as unknown as { argument: { literal?: { value?: unknown } } };
            add(node, argument.literal?.value, { typeOnly: true });
          },
        }),
      },
    },
  };
  try {
    Deno.lint.runPlugin(collector, file.path, file.text);
  } catch (cause) {
    throw new Error(`${file.path} does not parse: ${cause}`, { cause });
  }
  return { ...file, imports, hasDefaultExport };
}

/** `path` seen from the folder of `from`: `./x.ts`, `../y.ts`. */
export function resolveRelative(from: string, specifier: string): string {
  const parts = from.split("/").slice(0, -1);
  for (const part of specifier.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== ".") parts.push(part);
  }
  return parts.join("/");
}
