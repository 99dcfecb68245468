// What a call begins with that a server may have in its prompt cache: which conversation it continues, and which text it shares
// with other conversations. Both are numbers made of the account, the model and the beginning of the text. Later calls of a
// conversation begin as the first one did, up to and including the first message of the user; conversations of one program share
// the system prompt and the tools. A number that is wrong costs time and nothing else. The account is part of both, so that
// nobody can tell from an answer's delay whether somebody else has sent a text.
import type { Authorized } from './authorize.ts';
import type { JsonBody, JsonValue } from './payload/strict-json.ts';

export interface Opening {
  /** The same for all calls of a conversation; 0: none. */
  readonly conversation: number;
  /** The same for all conversations that begin with the same text before the first message of the user; 0: none. */
  readonly prefix: number;
  /** The part of the call's text that is this prefix, from 0 to 1. */
  readonly prefixShare: number;
}

export const noOpening: Opening = { conversation: 0, prefix: 0, prefixShare: 0 };

/** Of a longer text only its beginning and its end are read. */
const readBytes = 1_024;
/** Messages before the first one of the user: instructions and examples. */
const mostBlocks = 8;
/** To read less again saves nothing that could be noticed. */
const leastPrefixBytes = 256;
/** Beside the messages, what comes before them in a prompt. */
const before = ['system', 'instructions', 'tools'] as const;

export function openingOf(
  { operation, caller, models }: Pick<Authorized, 'operation' | 'caller' | 'models'>,
  { members }: JsonBody,
  bytes: Buffer,
): Opening {
  const model = models[0]?.name?.canonical;
  if (operation.scope !== 'inference:chat' || model === undefined) return noOpening;
  const text = members.get('messages') ?? members.get('input') ?? members.get('prompt');
  if (text === undefined || text.end - text.start < 3) return noOpening;
  const own = hashText(hashText(firstHash, caller.principal.accountId), model);
  const start = text.items?.[0]?.start ?? text.start;
  const conversation = hashPart(own, bytes, start, endOfBeginning(text, bytes));
  let prefix = own;
  let prefixBytes = 0;
  for (const name of before) {
    const value = members.get(name);
    if (value === undefined || value.kind === 'null') continue;
    prefix = hashPart(prefix, bytes, value.start, value.end);
    prefixBytes += value.end - value.start;
  }
  const textBytes = prefixBytes + text.end - text.start;
  const end = endOfInstructions(text, bytes);
  if (end > start) {
    prefix = hashPart(prefix, bytes, start, end);
    prefixBytes += end - start;
  }
  if (prefixBytes < leastPrefixBytes) return { conversation: conversation || 1, prefix: 0, prefixShare: 0 };
  return { conversation: conversation || 1, prefix: prefix || 1, prefixShare: prefixBytes / textBytes };
}

/** Of a long part its beginning, its end and its length. */
function hashPart(from: number, bytes: Buffer, start: number, end: number): number {
  if (end - start <= 2 * readBytes) return hashBytes(from, bytes, start, end);
  const hash = hashBytes(hashBytes(from, bytes, start, start + readBytes), bytes, end - readBytes, end);
  return hashText(hash, String(end - start));
}

const isOfUser = ({ members }: JsonValue, bytes: Buffer): boolean => {
  const role = members?.get('role');
  return role === undefined || bytes.toString('latin1', role.start, role.end) === '"user"';
};

/** Where the last message before the first one of the user ends; 0 if that is the first one. */
function endOfInstructions({ items = [] }: JsonValue, bytes: Buffer): number {
  let end = 0;
  for (let at = 0; at < items.length && at < mostBlocks; at++) {
    const item = items[at] as JsonValue;
    if (isOfUser(item, bytes)) return end;
    end = item.end;
  }
  return end;
}

/** Where the first message of the user ends. Where messages are not read one by one, the text is cut. */
function endOfBeginning({ items, start, end }: JsonValue, bytes: Buffer): number {
  if (items === undefined) return Math.min(end, start + readBytes);
  for (let at = 0; at < items.length && at < mostBlocks; at++) {
    const item = items[at] as JsonValue;
    if (isOfUser(item, bytes)) return item.end;
  }
  return (items[Math.min(items.length, mostBlocks) - 1] ?? { end }).end;
}

// FNV-1a with 32 bits: http://www.isthe.com/chongo/tech/comp/fnv/
const firstHash = 0x811c9dc5;
const prime = 0x01000193;

function hashText(from: number, text: string): number {
  let hash = from;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), prime);
  return hash >>> 0;
}

function hashBytes(from: number, bytes: Buffer, start: number, end: number): number {
  let hash = from;
  for (let at = start; at < end; at++) hash = Math.imul(hash ^ (bytes[at] as number), prime);
  return hash >>> 0;
}
