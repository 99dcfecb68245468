import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ModelPatterns, parseModelName } from './model-name.ts';

const canonical = (text: string) => parseModelName(text)?.canonical;

test.each([
  'llama3',
  'llama3:latest',
  'library/llama3',
  'registry.ollama.ai/library/llama3:latest',
  'https://registry.ollama.ai/library/llama3',
  'Llama3',
  ' llama3 ',
  'llama3:LATEST',
  'llama3:local',
  'llama3:latest:local',
])('%j means llama3:latest', (text) => {
  expect(canonical(text)).toBe('llama3:latest');
});

test('a host or namespace other than the default stays', () => {
  expect(canonical('hf.co/Some-One/Model-GGUF:Q4_K_M')).toBe('hf.co/some-one/model-gguf:q4_k_m');
  expect(canonical('someone/model')).toBe('someone/model:latest');
  expect(parseModelName('evil.example:5000/x/y')?.host).toBe('evil.example:5000');
});

test('the two spellings of a cloud model mean one model, as in Ollama', () => {
  expect(canonical('gpt-oss:120b:cloud')).toBe('gpt-oss:120b-cloud');
  expect(canonical('gpt-oss:120b-Cloud')).toBe('gpt-oss:120b-cloud');
  for (const text of ['m:cloud', 'm:latest:cloud', 'm:latest-cloud']) expect(canonical(text)).toBe('m:cloud');
});

test.each(['gpt-oss:120b-cloud', 'gpt-oss:cloud', 'm:8b:cloud'])('%s is a cloud model', (text) => {
  expect(parseModelName(text)?.cloud).toBe(true);
});

test.each([
  '',
  ' ',
  ':',
  'a b',
  'm@sha256:00',
  '../m',
  'a/../b',
  'a//b',
  'm\0',
  'mödel',
  'K\u212aimi',
  'a/b/c/d',
  'm:',
  ':tag',
  '-m',
  'm:8b:cloud:local',
  'm:cloud:cloud',
  'm:cloud-cloud',
  'm:local-cloud',
  'https://m',
  'http://library/m',
  'm:local:cloud',
  'm:local:local',
  'm:8b-cloud:cloud',
  'm:a:b',
  'x'.repeat(81),
  '__proto__/constructor/../x',
  'm\n',
])('%j is not a model name', (text) => {
  expect(parseModelName(text)).toBeUndefined();
});

test('a parsed name is a fixed point, whatever case, space and defaults it was written with', () => {
  const part = fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_-]{0,8}$/);
  const tags = fc.oneof(part, fc.constantFrom('latest', 'cloud', '8b-cloud', '8b:cloud', 'local', '8b:local', 'a:b'));
  const names = fc.tuple(fc.option(fc.constantFrom('registry.ollama.ai/', 'hf.co/')), fc.option(part), part, tags);
  fc.assert(
    fc.property(names, fc.boolean(), ([host, namespace, model, tag], shouts) => {
      const text = `${namespace === null ? '' : `${host ?? ''}${namespace}/`}${model}:${tag}`;
      const name = parseModelName(text);
      expect(parseModelName(` ${shouts ? text.toUpperCase() : text.toLowerCase()} `)).toEqual(name);
      if (name) expect(parseModelName(name.canonical)).toEqual(name);
      if (name) expect(new ModelPatterns([text]).allow(name)).toBe(true);
    }),
    { numRuns: 2000 },
  );
});

describe('patterns', () => {
  const allow = (patterns: string[], name: string) => new ModelPatterns(patterns).allow(parseModelName(name)!);
  test('a plain name means that model with that tag', () => {
    expect(allow(['llama3'], 'LLAMA3:latest')).toBe(true);
    expect(allow(['llama3'], 'llama3:8b')).toBe(false);
  });
  test('a star stands for a run of characters without a slash', () => {
    expect(allow(['gemma3:*'], 'gemma3:270m')).toBe(true);
    expect(allow(['gemma*'], 'gemma3:270m')).toBe(true);
    expect(allow(['gemma3:*'], 'gemma3n:1b')).toBe(false);
    expect(allow(['*:270m'], 'someone/gemma3:270m')).toBe(false);
    expect(allow(['someone/*'], 'someone/gemma3:270m')).toBe(true);
    expect(allow(['*'], 'hf.co/a/b:c')).toBe(true);
  });
  test('dots in a pattern are dots', () => {
    expect(allow(['qwen2.5:*'], 'qwen2x5:7b')).toBe(false);
  });
  test('an invalid pattern is refused when it is created', () => {
    expect(() => new ModelPatterns(['a b'])).toThrow(/not a model/);
    expect(() => new ModelPatterns(['a[*'])).toThrow(/not a model/);
  });
});

test('a name in its canonical form reads like the same name with its host', () => {
  const letter = fc.constantFrom(...'ab_.-0:'.split(''), 'local', 'cloud', '-cloud', ':local');
  fc.assert(
    fc.property(fc.array(letter, { maxLength: 6 }), (letters) => {
      const text = letters.join('');
      expect(parseModelName(text)).toEqual(parseModelName(`registry.ollama.ai/library/${text}`));
    }),
  );
});
