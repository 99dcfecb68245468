// Tools that the model server runs itself, away from the machine: `web_search…` on the operator's ollama.com account (ollama-api
// §1), an MCP server at any address that the caller names, code in a container, files of the account. Codex and Claude Code
// offer a web search with every call. For a caller without the scope `cloud`, the offer is removed; only a call that requires
// such a tool is refused. Detects and removes offers; other files decide who may use them.
import type { Work } from './payload/body-edits.ts';
import { type JsonBody, type JsonValue, type Outline, textOf } from './payload/strict-json.ts';

const named: Outline = { known: new Set(['type', 'name']) };
const choiceParts: Outline = { known: new Set(['type', 'name', 'mode', 'tools']), each: { tools: named } };
/** The content of `tool_choice` in the API families: a type, a name, or a list of allowed tools. */
export const toolChoiceOutline: Outline = {
  known: new Set(['type', 'name', 'function', 'mode', 'tools', 'allowed_tools']),
  inside: { function: named, allowed_tools: choiceParts },
  each: { tools: named },
};

export interface ServerTools {
  /** The offers, as elements of `tools`. */
  readonly offered: readonly JsonValue[];
  /** Whether the call requires such a tool: `tool_choice` names it, or requires some tool and there is no other. */
  readonly forced: boolean;
}

/** The beginnings of their types: OpenAI's and Anthropic's end with a date or a version. */
const serverTypes = [
  'web_search',
  'web_fetch',
  'mcp',
  'code_interpreter',
  'code_execution',
  'file_search',
  'image_generation',
] as const;

const none: ServerTools = { offered: [], forced: false };

export function readServerTools(body: JsonBody, bytes: Buffer): ServerTools {
  const tools = body.members.get('tools')?.items ?? [];
  const offered = tools.filter((tool) => isServerTool(bytes, tool));
  const choice = body.members.get('tool_choice');
  if (offered.length === 0 && !choice) return none;
  const names = new Set(offered.map((tool) => textIn(bytes, tool, 'name')));
  const isAlone = offered.length > 0 && offered.length === tools.length;
  return { offered, forced: choice !== undefined && forces(bytes, choice, names, isAlone) };
}

function forces(bytes: Buffer, choice: JsonValue, names: ReadonlySet<string | undefined>, isAlone: boolean): boolean {
  if (choice.kind === 'string') return isAlone && insists.has(textOf(bytes, choice));
  if (isAlone && insists.has(textIn(bytes, choice, 'type') ?? '')) return true;
  const parts = [choice, choice.members?.get('function'), choice.members?.get('allowed_tools')];
  return parts.some((part) => {
    if (!part) return false;
    const mentioned = [part, ...(part.members?.get('tools')?.items ?? [])];
    return mentioned.some((tool) => {
      const name = textIn(bytes, tool, 'name');
      return isServerTool(bytes, tool) || (name !== undefined && names.has(name));
    });
  });
}

/** "Any tool": OpenAI's `required`, Anthropic's `any`. */
const insists = new Set(['required', 'any']);

const isServerTool = (bytes: Buffer, tool: JsonValue): boolean => serverTypeOf(bytes, tool) !== undefined;

function serverTypeOf(bytes: Buffer, tool: JsonValue): (typeof serverTypes)[number] | undefined {
  const type = textIn(bytes, tool, 'type')?.toLowerCase();
  return type === undefined ? undefined : serverTypes.find((name) => type.startsWith(name));
}

function textIn(bytes: Buffer, object: JsonValue, field: string): string | undefined {
  const value = object.members?.get(field);
  return value?.kind === 'string' ? textOf(bytes, value) : undefined;
}

/** Keeps the other tools; if there are none, removes `tools` and `tool_choice`. */
export function takeOffersOut({ bytes, document, edits, changes }: Work, offered: readonly JsonValue[]): void {
  const tools = document.members.get('tools');
  if (!tools?.items || offered.length === 0) return;
  const out = new Set(offered);
  const kept = tools.items.filter((tool) => !out.has(tool));
  const text = kept.map(({ start, end }) => bytes.toString('utf8', start, end)).join(',');
  edits.push({ start: tools.start, end: tools.end, text: kept.length > 0 ? `[${text}]` : 'null' });
  const choice = document.members.get('tool_choice');
  if (kept.length === 0 && choice) edits.push({ start: choice.start, end: choice.end, text: 'null' });
  for (const type of new Set(offered.map((tool) => serverTypeOf(bytes, tool)))) changes.push(`tools.${type} removed`);
}
