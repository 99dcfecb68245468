// Bounds the variables that a call sets in a model's template. Switches such as `enable_thinking` are needed; but the object
// reaches the function that applies the template, whose own arguments it can replace, and any text in it reaches the prompt
// past the roles of the messages.
import { GatewayError } from '../domain/error.ts';
import { detail } from '../domain/refusal-details.ts';
import { bodyFields } from '../upstream/kinds.ts';
import { given, type Work } from './payload/body-edits.ts';

const { templateArguments } = bodyFields;

/** Arguments of `apply_chat_template` itself (transformers, tokenization_utils_base.py). */
const reserved = new Set(
  (
    'conversation messages tools documents chat_template add_generation_prompt continue_final_message tokenize padding ' +
    'truncation max_length return_tensors return_dict return_assistant_tokens_mask tokenizer_kwargs add_special_tokens'
  ).split(' '),
);
/** The longest word, quotes included: levels, dates and languages. */
const mostBytes = 66;
const mostArguments = 16;

/** @throws GatewayError `beyond_plan`. */
export function boundTemplateArguments({ document }: Work): void {
  for (const name of templateArguments) {
    const value = given(document.members, name);
    if (!value) continue;
    const plain = value.members !== undefined && value.members.size <= mostArguments;
    const fits =
      plain &&
      [...(value.members ?? [])].every(
        ([argument, { kind, start, end }]) =>
          !reserved.has(argument) && kind !== 'object' && kind !== 'array' && end - start <= mostBytes,
      );
    if (!fits)
      throw new GatewayError('beyond_plan', {
        message: detail('template_arguments', { field: name, most: mostArguments }),
      });
  }
}
