// A hundred and forty texts, each marked as JSON or not by RFC 8259, with the result of Go's decoder (encoding/json of Go
// 1.26, which Ollama uses). Go accepts every text that our reader accepts, and reads the same.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { scanObject, textOf } from './strict-json.ts';

interface Text {
  /** `y` JSON; `n` not JSON; `o` JSON but not an object; `t` an object that two readers could read in two ways. */
  readonly kind: 'y' | 'n' | 'o' | 't';
  readonly text: string;
  /** null: Go refused it. */
  readonly go: { readonly model: string; readonly stream: boolean | null } | null;
}
const texts = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../../test/fixtures/json-texts.json'), 'utf8'),
) as Text[];
const outline = {
  known: new Set(['model', 'stream', 'keep_alive', 'options']),
  inside: { options: { known: new Set(['num_ctx']) } },
};

function read(text: string): { model: unknown; stream: boolean | null } | undefined {
  const bytes = Buffer.from(text);
  try {
    const { members } = scanObject(bytes, outline);
    const [model, stream] = [members.get('model'), members.get('stream')];
    return {
      model: model?.kind === 'string' ? textOf(bytes, model) : '',
      stream: stream === undefined ? null : bytes.toString('utf8', stream.start, stream.end) === 'true',
    };
  } catch {
    return undefined;
  }
}

test.each(texts.filter(({ kind }) => kind === 'y'))('U31: $text is read, as Go reads it', ({ text, go }) => {
  expect(read(text)).toEqual(go);
});

test.each(texts.filter(({ kind }) => kind !== 'y'))('U31: $text ($kind) is refused', ({ text, kind, go }) => {
  expect(read(text)).toBeUndefined();
  // Go accepts some texts that are not JSON; a gate that did not check would forward them.
  if (kind === 'n') expect(go).toBeNull();
});
