// Translates the body of OpenAI's /v1/chat/completions into one for Anthropic's /v1/messages. Every field is in one of the
// tables here; what has no counterpart is refused by its name.
import type { Body } from '../chat/chat-request.ts';
import { numberOf } from '../chat/exact-json.ts';
import { RequestFields, unknownValue } from '../chat/request-fields.ts';
import { unfit, untranslatable } from '../translation.ts';
import { conversationOf } from './content.ts';

/** /v1/messages requires a length, and a chat need not have one. */
const usualLength = 4096;

/** `value`: the parsed body. @throws GatewayError `invalid_request`, `untranslatable`, with the field's name. */
export function messagesFromChat(value: unknown): { readonly body: Body; readonly asksForUsage: boolean } {
  const given = new RequestFields(value, '');
  const { system, messages } = conversationOf(given);
  const body: Body = { max_tokens: lengthOf(given), messages };
  if (system.length > 0) body['system'] = system;
  const stop = given.any('stop');
  const stops = typeof stop === 'string' ? [stop] : given.texts('stop');
  if (stops && stops.length > 0) body['stop_sequences'] = stops;
  writeSampling(body, given);
  writeTools(body, given);
  writeOutput(body, given);
  endWithoutEffect(given);
  const options = given.fields('stream_options');
  const asksForUsage = options?.flag('include_usage') === true;
  // It hides the length of pieces behind random text; none is sent.
  options?.ignore('include_obfuscation');
  options?.end();
  // The gateway writes them itself.
  given.ignore('model', 'stream');
  given.end();
  return { body, asksForUsage };
}

/** A plan may have added one of the two beside the other. */
function lengthOf(given: RequestFields): number {
  let length = Infinity;
  for (const name of ['max_tokens', 'max_completion_tokens']) {
    const tokens = numberOf(given.number(name));
    if (tokens === undefined) continue;
    if (!Number.isSafeInteger(tokens) || tokens < 1) throw unfit(name, 'must be a whole number above 0');
    length = Math.min(length, tokens);
  }
  return length === Infinity ? usualLength : length;
}

function writeSampling(body: Body, given: RequestFields): void {
  const temperature = given.number('temperature');
  if (temperature !== undefined) {
    if ((numberOf(temperature) as number) > 1) throw untranslatable('temperature', 'must not be above 1 there');
    body['temperature'] = temperature;
  }
  for (const name of ['top_p', 'top_k']) {
    const value = given.number(name);
    if (value !== undefined) body[name] = value;
  }
  for (const name of ['frequency_penalty', 'presence_penalty', 'top_logprobs']) {
    const value = given.number(name);
    if (value !== undefined && value !== 0) throw untranslatable(name);
  }
  if (given.flag('logprobs') === true) throw untranslatable('logprobs');
  const choices = given.number('n');
  if (choices !== undefined && choices !== 1) throw untranslatable('n', 'must be 1 there');
}

function writeTools(body: Body, given: RequestFields): void {
  const tools: object[] = [];
  for (const tool of given.each('tools')) tools.push(toolOf(tool));
  if (tools.length > 0) body['tools'] = tools;
  const choice = choiceOf(given);
  const parallel = given.flag('parallel_tool_calls');
  if (parallel === false && choice?.['type'] !== 'none' && tools.length > 0)
    body['tool_choice'] = { type: 'auto', ...choice, disable_parallel_tool_use: true };
  else if (choice) body['tool_choice'] = choice;
}

function choiceOf(given: RequestFields): Body | undefined {
  const choice = given.any('tool_choice');
  if (choice === undefined) return undefined;
  if (typeof choice === 'string') {
    const type = given.oneOf('tool_choice', ['none', 'auto', 'required']);
    return { type: type === 'required' ? 'any' : type };
  }
  const named = given.fields('tool_choice') as RequestFields;
  named.oneOf('type', ['function']);
  const called = named.fields('function');
  if (!called) throw untranslatable(named.at('type'));
  const name = called.requiredText('name');
  called.end();
  named.end();
  return { type: 'tool', name };
}

function toolOf(tool: RequestFields): object {
  const type = tool.requiredText('type');
  const called = tool.fields('function');
  if (type !== 'function' || !called) throw unknownValue(tool.at('type'), type);
  const name = called.requiredText('name');
  const description = called.text('description');
  const strict = called.flag('strict');
  const schema = called.object('parameters') ?? { type: 'object', properties: {} };
  called.end();
  tool.end();
  return {
    name,
    ...(description === undefined ? {} : { description }),
    input_schema: schema,
    ...(strict === undefined ? {} : { strict }),
  };
}

function writeOutput(body: Body, given: RequestFields): void {
  const output: Body = {};
  const effort = given.oneOf('reasoning_effort', ['none', 'low', 'medium', 'high', 'xhigh', 'max']);
  if (effort === 'none') body['thinking'] = { type: 'disabled' };
  else if (effort !== undefined) output['effort'] = effort;
  const format = given.fields('response_format');
  const type = format?.oneOf('type', ['text', 'json_schema']);
  if (format && type === 'json_schema') {
    const described = format.fields('json_schema');
    const schema = described?.object('schema');
    if (!schema) throw unfit(`${format.at('json_schema')}.schema`, 'is required');
    output['format'] = { type, schema };
    // A schema is always held to there, and its name reaches no model.
    described?.ignore('name', 'description', 'strict');
    described?.end();
  }
  format?.end();
  if (Object.keys(output).length > 0) body['output_config'] = output;
}

/** Fields that are accepted although nothing is sent for them, each for its own reason. */
function endWithoutEffect(given: RequestFields): void {
  // They name a person, or what a cache could be found by; no answer depends on them.
  given.ignore('user', 'safety_identifier', 'prompt_cache_key', 'prompt_cache_retention', 'prompt_cache_options');
  if (given.flag('store') === true) throw untranslatable('store', 'needs a server that keeps answers');
  given.oneOf('service_tier', ['auto', 'default']);
  // The usual one is what a model does by itself.
  given.oneOf('verbosity', ['medium']);
  for (const name of given.texts('modalities') ?? []) if (name !== 'text') throw unknownValue('modalities', name);
}
