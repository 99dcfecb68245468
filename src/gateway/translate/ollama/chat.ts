// /api/chat onto /v1/chat/completions.
import { type Outline, scanObject } from '../../payload/strict-json.ts';
import { Field } from '../closed-object.ts';
import type { Translation, Written } from '../translation.ts';
import { asMessage, streamChat, wholeChat } from './chat-answer.ts';
import { loading } from './loading.ts';
import { writeMessages, writeTools } from './messages.ts';
import {
  acceptKeepAlive,
  acceptOnly,
  addFormat,
  addLogprobs,
  addOptions,
  addThinking,
  addTopLogprobs,
  optionNamed,
} from './options.ts';

const calledFunction: Outline = { known: new Set(['index', 'name', 'arguments', 'description', 'parameters']) };

const outline: Outline = {
  known: new Set(
    (
      'model stream messages tools format think options keep_alive truncate shift logprobs top_logprobs ' +
      '_debug_render_only'
    ).split(' '),
  ),
  inside: { options: { known: new Set() } },
  each: {
    messages: {
      known: new Set('role content thinking images tool_calls tool_name tool_call_id'.split(' ')),
      each: {
        images: { known: new Set() },
        tool_calls: { known: new Set(['id', 'type', 'function']), inside: { function: calledFunction } },
      },
    },
    tools: { known: new Set(['type', 'function']), inside: { function: calledFunction } },
  },
};

export const chat: Translation = ({ bytes }, target) => {
  const members = new Map<string, Written>();
  let messages: Field | undefined;
  new Field(bytes, scanObject(bytes, outline), '').members({
    // The gateway writes them.
    model: () => undefined,
    stream: () => undefined,
    messages: (field) => (messages = field),
    tools: (field) => {
      if (field.items().length > 0) members.set('tools', writeTools(field));
    },
    format: (field) => addFormat(field, target, members),
    think: (field) => addThinking(field, target, members),
    options: (field) => addOptions(field, target, members),
    keep_alive: acceptKeepAlive,
    // Such a server refuses a prompt that is too long, and stops when the context is full.
    truncate: acceptOnly(false),
    shift: acceptOnly(false),
    _debug_render_only: acceptOnly(false),
    logprobs: (field) => addLogprobs(field, target, members),
    top_logprobs: (field) => addTopLogprobs(field, members),
  });
  if (!messages) return loading('messages', asMessage);
  if (messages.items().length === 0) return loading('messages', asMessage);
  const { parts, begun } = writeMessages(messages, target);
  members.set('messages', parts);
  if (begun !== undefined && target.takes.continuesAnswers === 'asked') {
    members.set('continue_final_message', 'true');
    members.set('add_generation_prompt', 'false');
  }
  const repeated = target.takes.continuesAnswers === 'repeated' ? begun : undefined;
  return {
    path: '/v1/chat/completions',
    members,
    nameOf: optionNamed,
    whole: wholeChat(asMessage, repeated),
    stream: streamChat(asMessage, repeated),
  };
};
