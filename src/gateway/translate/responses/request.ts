// Translates the body of OpenAI's /v1/responses into one for /v1/chat/completions: the part of that API that keeps nothing
// between calls. Every field is in one of the tables here; what has no counterpart is refused by its name.
import type { OpenAiExtras } from '../../../upstream/kind.ts';
import { type Body, continueAnswer, writeEffort, writeLength } from '../chat/chat-request.ts';
import { RequestFields, unknownValue } from '../chat/request-fields.ts';
import { untranslatable } from '../translation.ts';
import { inputMessages } from './input.ts';

/** What the answer depends on. */
export interface ResponsesAsked {
  /** Thoughts are written as a summary, as the call asks for one. */
  readonly summarizes: boolean;
  /** The beginning of the answer, if the server will repeat it; otherwise empty. */
  readonly begun: string;
  /** Fields of the call that the answer repeats. */
  readonly repeated: Readonly<Record<string, unknown>>;
}

export interface ResponsesRequest {
  readonly body: Body;
  /** How the caller names what stands at a path of the body. */
  readonly nameOf: (path: string) => string;
  readonly asked: ResponsesAsked;
}

/** `value`: the parsed body. @throws GatewayError `invalid_request`, `untranslatable`, with the field's name. */
export function chatFromResponses(value: unknown, takes: OpenAiExtras): ResponsesRequest {
  const given = new RequestFields(value, '');
  refuseState(given);
  const { messages, origins } = inputMessages(given, takes);
  const body: Body = { messages };
  const repeated: Record<string, unknown> = {};
  repeated['instructions'] = given.text('instructions') ?? null;
  const length = given.number('max_output_tokens');
  if (length !== undefined) writeLength(body, length, 'max_output_tokens');
  repeated['max_output_tokens'] = length ?? null;
  for (const name of ['temperature', 'top_p']) {
    const figure = given.number(name);
    if (figure !== undefined) body[name] = figure;
    repeated[name] = figure ?? 1;
  }
  writeTools(body, given, repeated);
  writeText(body, given, takes, repeated);
  const summarizes = writeReasoning(body, given, takes, repeated);
  const begun = continueAnswer(body, messages, takes, 'input');
  repeated['metadata'] = given.object('metadata') ?? {};
  endWithoutEffect(given);
  // The gateway writes them itself.
  given.ignore('model', 'stream');
  given.end();
  return { body, nameOf: (path) => nameIn(origins, path), asked: { summarizes, begun, repeated } };
}

function nameIn(origins: ReadonlyMap<string, string>, path: string): string {
  const [at = '', call = ''] = /^messages\[\d+\](\.tool_calls\[\d+\])?/.exec(path) ?? [];
  const origin = origins.get(at) ?? origins.get(at.slice(0, at.length - call.length));
  if (origin !== undefined) {
    const rest = path
      .slice(at.length)
      .replace(/^\.function\b/, '')
      .replace(/\.image_url(?:\.url)?/, '');
    return /^input\[\d+\]$/.test(origin) ? origin + rest : origin;
  }
  return path
    .replace(/^max_tokens$/, 'max_output_tokens')
    .replace(/^reasoning_effort$/, 'reasoning.effort')
    .replace(/^response_format(?:\.json_schema)?/, 'text.format')
    .replace(/^(tools\[\d+\]|tool_choice)\.function\b/, '$1');
}

/** A chat keeps nothing: whatever refers to an earlier call, or is to be kept for a later one, is refused. */
function refuseState(given: RequestFields): void {
  for (const name of ['previous_response_id', 'conversation', 'prompt'])
    if (given.any(name) !== undefined) throw untranslatable(name, 'needs a server that keeps earlier calls');
  for (const name of ['store', 'background'])
    if (given.flag(name) === true) throw untranslatable(name, 'needs a server that keeps answers');
}

/** Fields that are accepted although nothing is sent for them, each for its own reason. */
function endWithoutEffect(given: RequestFields): void {
  // They name a person, or what a cache could be found by; no answer depends on them.
  given.ignore('user', 'safety_identifier', 'prompt_cache_key', 'prompt_cache_retention', 'prompt_cache_options');
  // It bounds the calls of tools that the server runs, and there are none.
  given.ignore('max_tool_calls');
  given.oneOf('service_tier', ['auto', 'default']);
  given.oneOf('truncation', ['disabled']);
  const most = given.number('top_logprobs');
  if (most !== undefined && most !== 0) throw untranslatable('top_logprobs');
  // What they add does not exist: nothing is encrypted, and the server runs no tools.
  for (const name of given.texts('include') ?? [])
    if (name !== 'reasoning.encrypted_content' && !/^[a-z_]+_call(?:_output)?\./.test(name))
      throw unknownValue('include', name);
  const options = given.fields('stream_options');
  // It hides the length of pieces behind random text; none is sent.
  options?.ignore('include_obfuscation');
  options?.end();
}

function writeTools(body: Body, given: RequestFields, repeated: Record<string, unknown>): void {
  const tools: object[] = [];
  for (const tool of given.each('tools')) tools.push(toolOf(tool));
  if (tools.length > 0) body['tools'] = tools;
  repeated['tools'] = given.list('tools') ?? [];
  const choice = given.any('tool_choice');
  repeated['tool_choice'] = choice ?? 'auto';
  if (typeof choice === 'string') body['tool_choice'] = given.oneOf('tool_choice', ['none', 'auto', 'required']);
  else if (choice !== undefined) {
    const named = given.fields('tool_choice') as RequestFields;
    named.oneOf('type', ['function']);
    body['tool_choice'] = { type: 'function', function: { name: named.requiredText('name') } };
    named.end();
  }
  const parallel = given.flag('parallel_tool_calls');
  if (parallel !== undefined) body['parallel_tool_calls'] = parallel;
  repeated['parallel_tool_calls'] = parallel ?? true;
}

function toolOf(tool: RequestFields): object {
  // Other tools are run by OpenAI's servers, or speak something other than JSON.
  const type = tool.requiredText('type');
  if (type !== 'function') throw unknownValue(tool.at('type'), type);
  const name = tool.requiredText('name');
  const description = tool.text('description');
  const parameters = tool.object('parameters');
  const strict = tool.flag('strict');
  for (const flag of ['defer_loading', 'async']) if (tool.flag(flag) === true) throw untranslatable(tool.at(flag));
  if (tool.texts('allowed_callers')?.some((caller) => caller !== 'direct') === true)
    throw untranslatable(tool.at('allowed_callers'));
  tool.end();
  const described = description === undefined ? {} : { description };
  const bounded = parameters === undefined ? {} : { parameters };
  const held = strict === undefined ? {} : { strict };
  return { type, function: { name, ...described, ...bounded, ...held } };
}

function writeText(body: Body, given: RequestFields, takes: OpenAiExtras, repeated: Record<string, unknown>): void {
  const text = given.fields('text');
  repeated['text'] = { format: { type: 'text' }, ...given.object('text') };
  if (!text) return;
  // The usual one is what a model does by itself.
  text.oneOf('verbosity', ['medium']);
  const format = text.fields('format');
  const type = format?.requiredText('type');
  if (format && type === 'json_schema') body['response_format'] = { type, json_schema: schemaOf(format) };
  else if (type === 'json_object') body['response_format'] = anyObject(takes);
  else if (format && type !== undefined && type !== 'text') throw unknownValue(format.at('type'), type);
  format?.end();
  text.end();
}

/** Any JSON object; a schema says it too. */
const anyObject = ({ lacks }: OpenAiExtras): object =>
  lacks?.has('json_object') === true
    ? { type: 'json_schema', json_schema: { name: 'answer', schema: { type: 'object' } } }
    : { type: 'json_object' };

function schemaOf(format: RequestFields): object {
  const name = format.requiredText('name');
  const description = format.text('description');
  const strict = format.flag('strict');
  return {
    name,
    ...(description === undefined ? {} : { description }),
    schema: format.object('schema') ?? {},
    ...(strict === undefined ? {} : { strict }),
  };
}

/** Returns whether thoughts are written as a summary. */
function writeReasoning(
  body: Body,
  given: RequestFields,
  takes: OpenAiExtras,
  repeated: Record<string, unknown>,
): boolean {
  const reasoning = given.fields('reasoning');
  repeated['reasoning'] = given.object('reasoning') ?? { effort: null, summary: null };
  if (!reasoning) return false;
  const effort = reasoning.text('effort');
  if (effort !== undefined) writeEffort(body, effort, takes, reasoning.at('effort'));
  const kinds = ['auto', 'concise', 'detailed'] as const;
  const summary = reasoning.oneOf('summary', kinds) ?? reasoning.oneOf('generate_summary', kinds);
  reasoning.oneOf('context', ['auto']);
  reasoning.oneOf('mode', ['standard']);
  reasoning.end();
  return summary !== undefined;
}
