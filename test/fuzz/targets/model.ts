// Model names, checked against a second parser written from Ollama's own: Ollama accepts every name that the gate accepts,
// and two spellings are one model to the gate exactly when they are one to Ollama. A model that a pattern allows is
// forwarded under the matched name.
import assert from 'node:assert/strict';
import {
  canonicalText,
  ModelPatterns,
  mostPatterns,
  parseModelName,
  readPatterns,
} from '../../../src/domain/model-name.ts';
import { isProblem, readName, sameModel } from '../../fake-ollama/model-name.ts';
import type { Target } from '../target.ts';

/** Two names, one per line; a third line is a pattern. */
function run(bytes: Buffer): void {
  const [one = '', two = '', pattern] = bytes.toString('utf8').split('\n');
  const [first, second] = [check(one), check(two)];
  if (first && second)
    assert.equal(first.canonical === second.canonical, sameModel(first.theirs, second.theirs), 'one model or two?');
  if (pattern !== undefined) checkPattern(pattern, one);
}

function check(text: string) {
  const name = parseModelName(text);
  assert.equal(canonicalText(text), name?.canonical ?? text);
  if (!name) return undefined;
  const theirs = readName(text);
  assert.ok(!isProblem(theirs), 'Ollama refuses it');
  assert.match(name.canonical, /^[a-z0-9_.:/-]+$/);
  assert.deepEqual(parseModelName(name.canonical), name, 'not a fixed point');
  assert.deepEqual(parseModelName(` ${text.toUpperCase()}\t`.trim()), name, 'case or space matter');
  assert.equal(name.cloud, theirs.cloud, 'cloud or not?');
  assert.equal(name.host, theirs.host.toLowerCase());
  return { ...name, theirs };
}

function checkPattern(pattern: string, text: string): void {
  assert.throws(() => readPatterns(Array.from({ length: mostPatterns + 1 }, () => pattern)), /: a list can have up to/);
  let patterns: ModelPatterns;
  try {
    patterns = new ModelPatterns(readPatterns([pattern]));
  } catch (error) {
    assert.match((error as Error).message, / is not a model (name|pattern)(: it has more than 200 characters)?$/);
    return;
  }
  const name = parseModelName(text);
  if (!name) return;
  const opened = patterns.allow(name);
  // Only a pattern without a star names an alias.
  assert.equal(patterns.allowAs(name, pattern), opened || parseModelName(pattern)?.canonical === pattern);
  if (!pattern.includes('*')) assert.equal(opened, parseModelName(pattern)?.canonical === name.canonical);
  else if (pattern === '*') assert.ok(opened);
  // A star matches no slash, so an allowed name has as many slashes as the pattern.
  else if (opened) assert.ok(slashes(name.canonical) <= slashes(pattern));
}

const slashes = (text: string): number => text.split('/').length;

export const target: Target = {
  words: (
    'llama3 :latest library/ registry.ollama.ai/ https:// http:// :local :cloud -cloud hf.co/ :8b / : - . _ * ' +
    '\u212a \u017f \u0130 evil.example:5000/ @sha256: .. :LOCAL :Cloud'
  )
    .split(' ')
    .concat(' ', '\n'),
  mostBytes: 300,
  seeds: () => [
    ...'llama3 library/llama3 registry.ollama.ai/library/llama3:latest Llama3 llama3:LATEST llama3:local llama3:8b:local'
      .split(' ')
      .map((name) => `${name}\nllama3:latest\nllama*`),
    ...'gpt-oss:120b-cloud gpt-oss:cloud m:8b:cloud m:8b:cloud:local m:a:b m@sha256:00 ../m a/../b a//b m: :tag -m'
      .split(' ')
      .map((name) => `${name}\ngpt-oss:cloud\n*`),
    'hf.co/Some-One/Model-GGUF:Q4_K_M\nhf.co/some-one/model-gguf:q4_k_m\nhf.co/*/*:*',
    'https://registry.ollama.ai/library/llama3\nevil.example:5000/x/y\nqwen2.5:*',
    'm\u00f6del\nK\u212aimi\nlibrary/*',
    'aab-aaab-ab/aaaab\nm\na*aab*aaab*b/*a*b*',
    `aaaab\nm\n${'*a'.repeat(101)}b`,
    'abaabab\nm\n*abab*b*:*',
  ],
  run,
};
