// Tools of an MCP server by name, or by how their name begins: which of them a caller may see and call, each open to every caller of the
// route or only to those who have another scope besides, and what a call of each costs.
import { isRouteScope, type RouteScope, type Scope } from './scope.ts';
import { Unreadable } from './sentences.ts';

interface NamedTools {
  /** A whole name, or how it begins. */
  readonly name: string;
  readonly isBeginning: boolean;
}

export interface McpTools extends NamedTools {
  /** Null: the scope of the route is enough. */
  readonly scope: RouteScope | null;
}

export interface ToolPrice extends NamedTools {
  readonly units: number;
}

/** Reads `search`, `read_*`, or `delete_*=route:notes-write`. @throws Unreadable. */
export function readMcpTools(text: string): McpTools {
  const { tools, value: scope } = readNamed(text) ?? {};
  if (!tools || (scope !== undefined && !isRouteScope(scope)))
    throw new Unreadable('option_tool', { text: text.slice(0, 80) });
  return { ...tools, scope: scope ?? null };
}

/** Reads `search=5` or `read_*=0`. @throws Unreadable. */
export function readToolPrice(text: string): ToolPrice {
  const { tools, value = '' } = readNamed(text) ?? {};
  if (!tools || !/^\d{1,9}$/.test(value)) throw new Unreadable('option_tool_price', { text: text.slice(0, 80) });
  return { ...tools, units: Number(value) };
}

function readNamed(text: string): { readonly tools: NamedTools; readonly value: string | undefined } | undefined {
  const [, name = '', star = '', value] = /^([A-Za-z0-9_./-]{0,128})(\*?)(?:=(.*))?$/.exec(text) ?? [];
  return name + star === '' ? undefined : { tools: { name, isBeginning: star !== '' }, value };
}

export const writtenTools = ({ name, isBeginning }: NamedTools, value: string | number | null): string =>
  `${name}${isBeginning ? '*' : ''}${value === null ? '' : `=${value}`}`;

const isMeant = ({ name, isBeginning }: NamedTools, tool: string): boolean =>
  isBeginning ? tool.startsWith(name) : tool === name;

export const mayUseTool = (tools: readonly McpTools[], scopes: ReadonlySet<Scope>, tool: string): boolean =>
  tools.some((each) => isMeant(each, tool) && (each.scope === null || scopes.has(each.scope)));

/** The whole name counts before a beginning, and a longer beginning before a shorter one. Undefined: none of them is meant. */
export function priceOf(prices: readonly ToolPrice[], tool: string): number | undefined {
  let found: ToolPrice | undefined;
  for (const price of prices) if (isMeant(price, tool) && (!found || isCloser(price, found))) found = price;
  return found?.units;
}

const isCloser = (a: NamedTools, b: NamedTools): boolean =>
  !a.isBeginning || (b.isBeginning && a.name.length > b.name.length);
