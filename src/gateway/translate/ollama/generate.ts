// /api/generate onto /v1/chat/completions, where the server applies the template of the model as Ollama does; and, with `raw`, onto
// /v1/completions, where nobody does.
import { type Outline, scanObject } from '../../payload/strict-json.ts';
import { Field } from '../closed-object.ts';
import { type Span, type Translated, type Translation, unfit, untranslatable, type Written } from '../translation.ts';
import { asResponse, streamChat, wholeChat } from './chat-answer.ts';
import { loading } from './loading.ts';
import {
  acceptKeepAlive,
  acceptOnly,
  addFormat,
  addLogprobs,
  addOptions,
  addThinking,
  addTopLogprobs,
  imageParts,
  optionNamed,
} from './options.ts';

const outline: Outline = {
  known: new Set(
    (
      'model stream prompt suffix images format think options system template context raw keep_alive truncate shift ' +
      'logprobs top_logprobs _debug_render_only'
    ).split(' '),
  ),
  inside: { options: { known: new Set() } },
  each: { images: { known: new Set() }, context: { known: new Set() } },
};

interface Asked {
  prompt?: Field;
  system?: Field;
  images?: Field;
  raw?: Field;
  isRaw: boolean;
}

const answers: Pick<Translated, 'whole' | 'stream'> = { whole: wholeChat(asResponse), stream: streamChat(asResponse) };

export const generate: Translation = ({ bytes }, target) => {
  const members = new Map<string, Written>();
  const asked: Asked = { isRaw: false };
  const refuseText = (field: Field): void => {
    if (!field.isEmptyText()) throw untranslatable(field.name);
  };
  new Field(bytes, scanObject(bytes, outline), '').members({
    // The gateway writes them.
    model: () => undefined,
    stream: () => undefined,
    prompt: (field) => (asked.prompt = field),
    system: (field) => (asked.system = field),
    images: (field) => (asked.images = field),
    raw: (field) => {
      asked.isRaw = field.flag();
      asked.raw = field;
    },
    suffix: refuseText,
    template: refuseText,
    // Tokens of another server's vocabulary.
    context: (field) => {
      if (field.items().length > 0) throw untranslatable(field.name);
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
  if (!asked.prompt || asked.prompt.isEmptyText()) return loading('prompt', asResponse);
  if (asked.isRaw) return rawly(asked, asked.prompt, members);
  members.set('messages', messagesOf(asked, asked.prompt));
  return { path: '/v1/chat/completions', members, nameOf: nameInPrompt, ...answers };
};

/** The messages hold what is not among the options. */
const nameInPrompt = (path: string): string =>
  path.startsWith('messages') ? (path.includes('.image_url') ? 'images' : 'prompt') : optionNamed(path);

function messagesOf({ system, images }: Asked, prompt: Field): (string | Span)[] {
  const parts: (string | Span)[] = ['['];
  if (system && !system.isEmptyText()) parts.push('{"role":"system","content":', system.textSpan(), '},');
  parts.push('{"role":"user","content":');
  const pictures = images?.items() ?? [];
  if (pictures.length === 0) parts.push(prompt.textSpan());
  else parts.push('[{"type":"text","text":', prompt.textSpan(), '},', ...imageParts(pictures), ']');
  parts.push('}]');
  return parts;
}

/** Members that the older route lacks, or has in another form on some servers. */
const notRaw = ['response_format', 'reasoning_effort', 'chat_template_kwargs', 'logprobs', 'top_logprobs'];

function rawly({ system, images, raw }: Asked, prompt: Field, members: Map<string, Written>): Translated {
  if (system && !system.isEmptyText()) throw unfit('system', 'cannot be combined with raw');
  if (images && images.items().length > 0) throw untranslatable(images.name, 'cannot be sent with raw');
  if (notRaw.some((name) => members.has(name)))
    throw untranslatable((raw as Field).name, 'cannot be combined with format, think or logprobs');
  // The route ends an answer without a bound after 16 tokens; in Ollama it has no end.
  if (!members.has('max_tokens')) throw untranslatable((raw as Field).name, 'needs options.num_predict');
  members.set('prompt', prompt.value);
  return { path: '/v1/completions', members, ...answers };
}
