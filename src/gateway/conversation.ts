// Which conversation a call continues: a number made of its account, its model and the text with which it begins, up to and
// including the first message of the user. Later calls of a conversation begin with the same text, and a server that has it
// in its prompt cache need not read it again. A number that is wrong costs time and nothing else.
import type { Authorized } from './authorize.ts';
import type { JsonBody, JsonValue } from './payload/strict-json.ts';

/** Of a longer text only its beginning and its end are read. */
const readBytes = 1_024;
/** Messages before the first one of the user: instructions and examples. */
const mostBlocks = 8;

/** 0: none. */
export function conversationOf(
  { operation, caller, models }: Pick<Authorized, 'operation' | 'caller' | 'models'>,
  { members }: JsonBody,
  bytes: Buffer,
): number {
  const model = models[0]?.name?.canonical;
  if (operation.scope !== 'inference:chat' || model === undefined) return 0;
  const text = members.get('messages') ?? members.get('input') ?? members.get('prompt');
  if (text === undefined || text.end - text.start < 3) return 0;
  let hash = hashText(firstHash, caller.principal.accountId);
  hash = hashText(hash, model);
  const end = endOfBeginning(text, bytes);
  const start = text.items?.[0]?.start ?? text.start;
  if (end - start <= 2 * readBytes) hash = hashBytes(hash, bytes, start, end);
  else {
    hash = hashBytes(hash, bytes, start, start + readBytes);
    hash = hashBytes(hash, bytes, end - readBytes, end);
  }
  return hash === 0 ? 1 : hash;
}

/** Where the first message of the user ends. Where messages are not read one by one, the text is cut. */
function endOfBeginning({ items, start, end }: JsonValue, bytes: Buffer): number {
  if (items === undefined) return Math.min(end, start + readBytes);
  for (let at = 0; at < items.length && at < mostBlocks; at++) {
    const item = items[at] as JsonValue;
    const role = item.members?.get('role');
    if (role === undefined || bytes.toString('latin1', role.start, role.end) === '"user"') return item.end;
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
