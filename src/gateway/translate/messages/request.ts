// Translates the body of Anthropic's /v1/messages into one for /v1/chat/completions. Every field is in one of the tables
// here; what has no counterpart is refused by its name.
import type { OpenAiExtras } from '../../../upstream/kind.ts';
import { type Body, continueAnswer, writeEffort, writeLength, writeReasoning } from '../chat/chat-request.ts';
import { numberOf } from '../chat/exact-json.ts';
import { RequestFields, unknownValue } from '../chat/request-fields.ts';
import { unfit, untranslatable } from '../translation.ts';
import { chatMessages } from './content.ts';

/** What the answer depends on. */
export interface MessagesAsked {
  readonly stops: readonly string[];
  /** The beginning of the answer, if the server will repeat it; otherwise empty. */
  readonly begun: string;
  /** The thoughts of the model are left out of the answer. */
  readonly omitsThinking: boolean;
}

export interface MessagesRequest {
  readonly body: Body;
  readonly asked: MessagesAsked;
}

/** `value`: the parsed body. @throws GatewayError `invalid_request`, with the field's name. */
export function chatFromMessages(value: unknown, takes: OpenAiExtras): MessagesRequest {
  const given = new RequestFields(value, '');
  const messages = chatMessages(given, takes);
  const body: Body = { messages };
  const tokens = given.number('max_tokens');
  if (tokens === undefined) throw unfit('max_tokens', 'is required');
  writeLength(body, tokens, 'max_tokens');
  const stops = given.texts('stop_sequences') ?? [];
  if (stops.length > 0) body['stop'] = stops;
  writeSampling(body, given, takes);
  writeTools(body, given);
  const omitsThinking = writeThinking(body, given, takes);
  writeOutput(body, given, takes);
  const begun = continueAnswer(body, messages, takes, lastRole(given));
  endWithoutEffect(given);
  // The gateway writes them itself.
  given.ignore('model', 'stream');
  given.end();
  return { body, asked: { stops, begun, omitsThinking } };
}

const lastRole = (given: RequestFields): string => `messages[${(given.list('messages') ?? []).length - 1}].role`;

function writeSampling(body: Body, given: RequestFields, { sampling }: OpenAiExtras): void {
  for (const name of ['temperature', 'top_p']) {
    const value = given.number(name);
    if (value !== undefined) body[name] = value;
  }
  const most = given.number('top_k');
  if (most === undefined) return;
  const own = sampling['top_k'];
  if (own === undefined) throw untranslatable('top_k');
  body[own] = most;
}

/** Fields that are accepted although nothing is sent for them, each for its own reason. */
function endWithoutEffect(given: RequestFields): void {
  // A mark for a cache changes no answer (content.ts).
  given.ignore('cache_control');
  // It names a person to the server, which has no need of it. The ledger has the account.
  const metadata = given.fields('metadata');
  metadata?.ignore('user_id');
  metadata?.end();
  // Neither requests more than the default.
  given.oneOf('service_tier', ['auto', 'standard_only']);
  given.oneOf('speed', ['standard']);
  endContextManagement(given);
}

/** To keep all thoughts is what happens anyway; Claude Code asks for it. */
function endContextManagement(given: RequestFields): void {
  const management = given.fields('context_management');
  if (!management) return;
  for (const edit of management.each('edits')) {
    edit.oneOf('type', ['clear_thinking_20251015']);
    edit.oneOf('keep', ['all']);
    if (edit.any('keep') === undefined) throw untranslatable(edit.at('keep'));
    edit.end();
  }
  management.end();
}

function writeTools(body: Body, given: RequestFields): void {
  const tools: object[] = [];
  for (const tool of given.each('tools')) tools.push(toolOf(tool));
  if (tools.length > 0) body['tools'] = tools;
  const choice = given.fields('tool_choice');
  if (!choice) return;
  switch (choice.oneOf('type', ['auto', 'any', 'tool', 'none'])) {
    case 'any':
      body['tool_choice'] = 'required';
      break;
    case 'tool':
      body['tool_choice'] = { type: 'function', function: { name: choice.requiredText('name') } };
      break;
    case 'none':
      body['tool_choice'] = 'none';
      break;
    case 'auto':
      body['tool_choice'] = 'auto';
      break;
    case undefined:
      choice.requiredText('type');
  }
  const single = choice.flag('disable_parallel_tool_use');
  if (single !== undefined) body['parallel_tool_calls'] = !single;
  choice.end();
}

function toolOf(tool: RequestFields): object {
  // The tools that Anthropic's own servers run have other types.
  tool.oneOf('type', ['custom']);
  const name = tool.requiredText('name');
  const description = tool.text('description');
  const parameters = tool.object('input_schema');
  if (!parameters) throw unfit(tool.at('input_schema'), 'is required');
  const strict = tool.flag('strict');
  if (tool.flag('defer_loading') === true) throw untranslatable(tool.at('defer_loading'));
  if ((tool.list('input_examples') ?? []).length > 0) throw untranslatable(tool.at('input_examples'));
  if (tool.texts('allowed_callers')?.some((caller) => caller !== 'direct') === true)
    throw untranslatable(tool.at('allowed_callers'));
  // Input is always streamed as it comes.
  tool.ignore('cache_control', 'eager_input_streaming');
  tool.end();
  return {
    type: 'function',
    function: {
      name,
      ...(description === undefined ? {} : { description }),
      parameters,
      ...(strict === undefined ? {} : { strict }),
    },
  };
}

/** Returns whether the thoughts are left out of the answer. */
function writeThinking(body: Body, given: RequestFields, takes: OpenAiExtras): boolean {
  const thinking = given.fields('thinking');
  if (!thinking) return false;
  const type = thinking.requiredText('type');
  // A summary would need a model of its own; the thoughts themselves are the nearest that there is.
  const omits = thinking.oneOf('display', ['summarized', 'omitted']) === 'omitted';
  if (type === 'enabled') writeBudget(body, thinking, takes);
  else if (type === 'disabled') {
    // Elsewhere, a model thinks only if its server was set up so.
    if (takes.takesTemplateArguments === true) writeReasoning(body, false);
  } else if (type !== 'adaptive') throw unknownValue(thinking.at('type'), type);
  thinking.end();
  return omits;
}

function writeBudget(body: Body, thinking: RequestFields, takes: OpenAiExtras): void {
  const budget = numberOf(thinking.number('budget_tokens'));
  if (budget === undefined || !Number.isSafeInteger(budget) || budget < 1)
    throw unfit(thinking.at('budget_tokens'), 'must be a whole number above 0');
  if (takes.reasoningBudget === undefined) throw untranslatable(thinking.at('budget_tokens'));
  body[takes.reasoningBudget] = budget;
  if (takes.takesTemplateArguments === true) writeReasoning(body, true);
}

function writeOutput(body: Body, given: RequestFields, takes: OpenAiExtras): void {
  const output = given.fields('output_config');
  if (!output) return;
  const effort = output.text('effort');
  if (effort !== undefined) writeEffort(body, effort, takes, output.at('effort'));
  const format = output.fields('format');
  if (format) {
    format.oneOf('type', ['json_schema']);
    const schema = format.object('schema');
    if (!schema) throw unfit(format.at('schema'), 'is required');
    body['response_format'] = { type: 'json_schema', json_schema: { name: 'answer', schema, strict: true } };
    format.end();
  }
  output.end();
}
