// The messages and tools of Ollama's chat, in OpenAI's form. Ollama links the result of a tool to its call by the order or the
// name, and OpenAI by an id, so calls without an id get one.
import type { Field } from '../closed-object.ts';
import { type Span, type Target, unfit, untranslatable } from '../translation.ts';
import { imageParts } from './options.ts';

type Parts = (string | Span)[];

interface PendingCall {
  readonly id: string;
  readonly name: string;
}

const roles = new Set(['system', 'user', 'assistant', 'tool']);

interface WrittenMessages {
  /** The JSON text of the list. */
  readonly parts: Parts;
  /** The text of a last message of the assistant, which begins the answer. */
  readonly begun: string | undefined;
}

/** @throws GatewayError `untranslatable`, `invalid_request`. */
export function writeMessages(messages: Field, target: Target): WrittenMessages {
  /** Calls of the last answer whose results have not come. */
  let pending: PendingCall[] = [];
  const parts: Parts = ['['];
  let last: Message | undefined;
  for (const [at, message] of messages.items().entries()) {
    if (at > 0) parts.push(',');
    const read = (last = readMessage(message));
    if (read.role === 'assistant') pending = pendingCalls(read.calls, at);
    writeMessage(read, target, pending, parts);
  }
  parts.push(']');
  return { parts, begun: beginningIn(last, target) };
}

/** Ollama has the model continue a last message of the assistant, unless it calls tools. */
function beginningIn(last: Message | undefined, { takes }: Target): string | undefined {
  if (last?.role !== 'assistant' || last.calls.length > 0 || !last.content || last.content.isEmptyText())
    return undefined;
  if (takes.continuesAnswers === undefined)
    throw untranslatable(
      last.field.name,
      'must not be the assistant in the last message, since the server cannot continue an answer',
    );
  return last.content.text();
}

interface Message {
  readonly field: Field;
  readonly role: string;
  content: Field | undefined;
  thinking: Field | undefined;
  images: Field | undefined;
  calls: ReadCall[];
  toolName: Field | undefined;
  toolCallId: Field | undefined;
}

interface ReadCall {
  readonly field: Field;
  id: string | undefined;
  name: Field | undefined;
  arguments: Field | undefined;
}

function readMessage(field: Field): Message {
  let role: Field | undefined;
  const found: Omit<Message, 'role'> = {
    field,
    content: undefined,
    thinking: undefined,
    images: undefined,
    calls: [],
    toolName: undefined,
    toolCallId: undefined,
  };
  field.members({
    role: (member) => (role = member),
    content: (member) => (found.content = member),
    thinking: (member) => (found.thinking = member),
    images: (member) => (found.images = member),
    tool_calls: (member) => (found.calls = member.items().map(readCall)),
    tool_name: (member) => (found.toolName = member),
    tool_call_id: (member) => (found.toolCallId = member),
  });
  const name = role?.text();
  if (name === undefined || !roles.has(name))
    throw unfit(`${field.name}.role`, 'must be system, user, assistant or tool');
  return { ...found, role: name };
}

function readCall(field: Field): ReadCall {
  const call: ReadCall = { field, id: undefined, name: undefined, arguments: undefined };
  field.members({
    id: (member) => (call.id = member.text()),
    type: (member) => {
      if (member.text() !== 'function') throw untranslatable(member.name);
    },
    function: (member) =>
      member.members({
        index: (index) => index.number(),
        name: (name) => (call.name = name),
        arguments: (value) => {
          if (value.value.kind !== 'object') throw value.wrong('must be an object');
          call.arguments = value;
        },
      }),
  });
  if (!call.name) throw unfit(`${field.name}.function.name`, 'is required');
  return call;
}

function pendingCalls(calls: readonly ReadCall[], at: number): PendingCall[] {
  return calls.map(({ id, name }, order) => ({ id: id || `call_${at}_${order}`, name: (name as Field).text() }));
}

function writeMessage(message: Message, { takes }: Target, pending: PendingCall[], parts: Parts): void {
  const { role, calls, thinking, toolName, toolCallId } = message;
  parts.push(`{"role":"${role}","content":`);
  writeContent(message, parts);
  if (role === 'assistant') {
    // Where no member is known, it is left out: templates do not show a model what it thought before its last answer.
    if (thinking && takes.reasoning !== undefined && !thinking.isEmptyText())
      parts.push(`,"${takes.reasoning}":`, thinking.textSpan());
    if (calls.length > 0) writeCalls(calls, pending, parts);
  } else {
    if (thinking) throw untranslatable(thinking.name);
    if (calls.length > 0) throw untranslatable(`${message.field.name}.tool_calls`);
  }
  if (role === 'tool') {
    const id = toolCallId?.text() || takePending(pending, toolName?.text(), message.field);
    const found = pending.findIndex((call) => call.id === id);
    if (found >= 0) pending.splice(found, 1);
    parts.push(`,"tool_call_id":${JSON.stringify(id)}`);
  } else if (toolName ?? toolCallId) throw untranslatable(((toolName ?? toolCallId) as Field).name);
  parts.push('}');
}

function writeContent({ role, content, images, calls }: Message, parts: Parts): void {
  const pictures = images?.items() ?? [];
  if (pictures.length === 0) {
    parts.push(content ? content.textSpan() : calls.length > 0 ? 'null' : '""');
    return;
  }
  if (role !== 'user') throw untranslatable((images as Field).name);
  parts.push('[');
  if (content && !content.isEmptyText()) parts.push('{"type":"text","text":', content.textSpan(), '},');
  parts.push(...imageParts(pictures), ']');
}

function writeCalls(calls: readonly ReadCall[], pending: readonly PendingCall[], parts: Parts): void {
  parts.push(',"tool_calls":[');
  for (const [at, { name, arguments: value }] of calls.entries()) {
    const id = JSON.stringify(pending[at]?.id);
    parts.push(`${at > 0 ? ',' : ''}{"id":${id},"type":"function","function":{"name":`, (name as Field).textSpan());
    // The text as it stands, so that numbers keep all their digits.
    const text = value ? value.bytes.toString('utf8', value.value.start, value.value.end) : '{}';
    parts.push(`,"arguments":${JSON.stringify(text)}}}`);
  }
  parts.push(']');
}

/** The call that a result without an id belongs to: the next one, or the next one with the name. */
function takePending(pending: readonly PendingCall[], name: string | undefined, field: Field): string {
  const found = name === undefined || name === '' ? pending[0] : pending.find((call) => call.name === name);
  if (!found) throw untranslatable(field.name, 'is the result of a tool that the last answer did not call');
  return found.id;
}

/** The JSON text of `tools`. */
export function writeTools(tools: Field): Parts {
  const parts: Parts = ['['];
  for (const [at, tool] of tools.items().entries()) {
    let hasType = false;
    let called: Field | undefined;
    tool.members({
      type: (member) => {
        if (member.text() !== 'function') throw untranslatable(member.name);
        hasType = true;
      },
      function: (member) => {
        called = member;
        member.members({
          name: (name) => name.textSpan(),
          description: (description) => description.textSpan(),
          parameters: (parameters) => {
            if (parameters.value.kind !== 'object') throw parameters.wrong('must be an object');
          },
        });
      },
    });
    if (!hasType || !called) throw tool.wrong('must be a function');
    parts.push(at > 0 ? ',' : '', tool.value);
  }
  parts.push(']');
  return parts;
}
