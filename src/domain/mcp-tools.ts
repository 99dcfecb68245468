// Which tools of an MCP server a caller may see and call: names, or beginnings of names, each open to every caller of the route or
// only to those who have another scope besides.
import { isRouteScope, type RouteScope, type Scope } from './scope.ts';

export interface McpTools {
  /** A whole name, or how it begins. */
  readonly name: string;
  readonly isBeginning: boolean;
  /** Null: the scope of the route is enough. */
  readonly scope: RouteScope | null;
}

/** Reads `search`, `read_*`, or `delete_*=route:notes-write`. @throws Error with a sentence. */
export function readMcpTools(text: string): McpTools {
  const [, name = '', star = '', scope] = /^([A-Za-z0-9_./-]{0,128})(\*?)(?:=(.*))?$/.exec(text) ?? [];
  if (name + star === '' || (scope !== undefined && !isRouteScope(scope)))
    throw new Error(`has tools such as search, read_* or delete_*=route:notes-write, not "${text.slice(0, 80)}"`);
  return { name, isBeginning: star !== '', scope: scope ?? null };
}

export const mayUseTool = (tools: readonly McpTools[], scopes: ReadonlySet<Scope>, tool: string): boolean =>
  tools.some(
    ({ name, isBeginning, scope }) =>
      (isBeginning ? tool.startsWith(name) : tool === name) && (scope === null || scopes.has(scope)),
  );
