// Ollama's `options` and what stands beside them, as members of a body of OpenAI's routes.
import type { Field } from '../closed-object.ts';
import { type Target, untranslatable, type Written } from '../translation.ts';

type Members = Map<string, Written>;

/** Options that OpenAI has under the same name, or another one. */
const openAis: Readonly<Record<string, string>> = {
  temperature: 'temperature',
  top_p: 'top_p',
  seed: 'seed',
  presence_penalty: 'presence_penalty',
  frequency_penalty: 'frequency_penalty',
};

/** Options that OpenAI lacks and some kinds of servers take. */
const others = ['top_k', 'min_p', 'typical_p', 'repeat_last_n', 'repeat_penalty'];

export function addOptions(options: Field, target: Target, members: Members): void {
  const { sampling } = target.takes;
  const table: Record<string, (option: Field) => void> = {
    num_ctx: (option) => requireContext(option, target),
    num_predict: (option) => addLength(option, members),
    stop: (option) => members.set('stop', option.value),
  };
  for (const [name, own] of Object.entries(openAis)) table[name] = (option) => setNumber(option, own, members);
  for (const name of others) {
    const own = sampling[name];
    if (own !== undefined) table[name] = (option) => setNumber(option, own, members);
  }
  options.members(table);
}

/** How a caller of Ollama's API names what stands at this path of a chat. */
export function optionNamed(path: string): string {
  const [first = ''] = path.split(/[.[]/, 1);
  if (first === 'max_tokens') return 'options.num_predict';
  if (first === 'response_format') return 'format';
  if (first === 'reasoning_effort' || first === 'chat_template_kwargs') return 'think';
  if (first === 'messages') return path.replace(/\.content\[\d+\]\.image_url.*/, '.images');
  return besides.has(first) ? path : `options.${path}`;
}

const besides: ReadonlySet<string> = new Set(['tools', 'logprobs', 'top_logprobs']);

/** For routes without sampling. */
export function refuseOptions(options: Field, target: Target): void {
  options.members({ num_ctx: (option) => requireContext(option, target) });
}

function setNumber(option: Field, name: string, members: Members): void {
  option.number();
  members.set(name, option.value);
}

/** Below 1 it is no bound, and a server's own bound without one is the context. */
function addLength(option: Field, members: Members): void {
  if (option.number() >= 1) members.set('max_tokens', option.value);
}

/** A server of another kind loads a model with one context, and a call cannot change it; one that is large enough is kept. */
function requireContext(option: Field, { contextOf }: Target): void {
  const context = contextOf();
  if (option.number() <= (context ?? 0)) return;
  throw untranslatable(
    option.name,
    context === undefined ? 'cannot be set by a call' : `is above ${context}, which the model is loaded with`,
  );
}

/**
 * How long the model stays loaded is up to such a server, and it is loaded while the call runs: any time is as good as the
 * caller's, but for zero, which asks to unload it.
 */
export function acceptKeepAlive(field: Field): void {
  const { kind } = field.value;
  if (kind !== 'number' && kind !== 'string') throw field.wrong('must be seconds, or a duration such as "5m"');
  // Go's durations (time.ParseDuration), or seconds as a text.
  if (kind === 'string' && !/^[+-]?(?:\d+|(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)$/.test(field.text()))
    throw field.wrong('must be seconds, or a duration such as "5m"');
  const isZero = kind === 'number' ? field.number() === 0 : !/[1-9]/.test(field.text());
  if (isZero) throw untranslatable(field.name, 'cannot unload a model there');
}

/** Accepts the value that asks for what the server does anyway. */
export const acceptOnly =
  (accepted: boolean) =>
  (field: Field): void => {
    if (field.flag() !== accepted) throw untranslatable(field.name);
  };

/** `"json"`, or a schema. */
export function addFormat(field: Field, { takes }: Target, members: Members): void {
  const { value } = field;
  if (value.kind === 'object')
    members.set('response_format', [
      '{"type":"json_schema","json_schema":{"name":"answer","strict":true,"schema":',
      value,
      '}}',
    ]);
  else {
    const format = field.text();
    if (format === 'json')
      members.set(
        'response_format',
        takes.lacks?.has('json_object')
          ? '{"type":"json_schema","json_schema":{"name":"answer","schema":{"type":"object"}}}'
          : '{"type":"json_object"}',
      );
    else if (format !== '') throw field.wrong('must be "json" or a JSON schema');
  }
}

const efforts = new Set(['low', 'medium', 'high']);

/** Whether the model reasons: a flag, or how much. */
export function addThinking(field: Field, { takes }: Target, members: Members): void {
  let effort: string | undefined;
  let thinks = true;
  if (field.value.kind === 'string') {
    effort = field.text();
    if (!efforts.has(effort)) throw field.wrong('must be true, false, "low", "medium" or "high"');
    if (takes.lacks?.has('reasoning_effort')) throw untranslatable(field.name);
    members.set('reasoning_effort', JSON.stringify(effort));
  } else {
    thinks = field.flag();
    if (!takes.takesTemplateArguments) throw untranslatable(field.name);
  }
  // Templates call it one or the other (Qwen, DeepSeek, gpt-oss); a name that a template does not have is not read.
  if (takes.takesTemplateArguments)
    members.set(
      'chat_template_kwargs',
      JSON.stringify({ enable_thinking: thinks, thinking: thinks, ...(effort && { reasoning_effort: effort }) }),
    );
}

export function addLogprobs(field: Field, { takes }: Target, members: Members): void {
  if (!field.flag()) return;
  if (takes.lacks?.has('logprobs')) throw untranslatable(field.name);
  members.set('logprobs', 'true');
}

export function addTopLogprobs(field: Field, members: Members): void {
  if (field.number() > 0) members.set('top_logprobs', field.value);
}

/** `images`: base64, as parts of a message. */
export function imageParts(images: readonly Field[]): (string | { start: number; end: number })[] {
  return images.flatMap((image, at) => {
    const { start, end } = image.textSpan();
    // Between the quotes; a slash may be escaped.
    const head = image.bytes.toString('latin1', start + 1, Math.min(start + 41, end - 1)).replaceAll('\\', '');
    const type = imageTypes.find(([prefix]) => prefix.test(head))?.[1];
    if (type === undefined) throw untranslatable(image.name, 'is no PNG, JPEG, GIF, WebP or BMP in base64');
    return [
      `${at > 0 ? ',' : ''}{"type":"image_url","image_url":{"url":"data:${type};base64,`,
      { start: start + 1, end: end - 1 },
      '"}}',
    ];
  });
}

/** The first bytes of each format, in base64. */
const imageTypes: readonly (readonly [prefix: RegExp, type: string])[] = [
  [/^iVBORw0KGgo/, 'image/png'],
  [/^\/9j\//, 'image/jpeg'],
  [/^R0lGOD[dl]h/, 'image/gif'],
  [/^UklGR.{6}XRUJQ/, 'image/webp'],
  [/^Qk[0-3]/, 'image/bmp'],
];
