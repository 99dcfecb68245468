// Whatever the gate refuses, a page says it in its own language: every reason and code has its sentence in both, and no page shows the
// words of an answer, of the API or of the browser.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { codeIn, reasonIn } from '../../portal/src/refusals.ts';
import { japanese } from '../../portal/src/words/refusals.ts';
import { errorCodes } from '../../src/domain/error.ts';
import { reasons, sentences } from '../../src/domain/sentences.ts';
import { problemCodes } from '../../src/management/http/problem-codes.ts';

const root = join(import.meta.dirname, '../..');
const sources = (place: string): Map<string, string> =>
  new Map(
    readdirSync(join(root, place), { recursive: true, encoding: 'utf8' })
      .filter((name) => /\.tsx?$/.test(name) && !name.includes('words/') && !name.endsWith('.test.ts'))
      .map((name) => [name, readFileSync(join(root, place, name), 'utf8')]),
  );
const pages = sources('portal/src');
const holes = (text: string): string[] =>
  [...new Set([...text.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name))].toSorted();

test('every reason is said in English and in Japanese, with the same figures', () => {
  for (const reason of reasons) {
    expect(sentences[reason], reason).toMatch(/^[\x20-\x7e…]+$/);
    expect(Object.hasOwn(japanese, reason), reason).toBe(true);
    if (sentences[reason].replaceAll(/\{\w+\}|[^a-z]/gi, '').length > 3)
      expect(japanese[reason], reason).toMatch(/[ぁ-んァ-ン一-龠]/);
    // A list of what there is may be left to the page.
    for (const hole of holes(japanese[reason])) expect(holes(sentences[reason]), reason).toContain(hole);
  }
});

test('every code of both planes has a sentence in English and in Japanese', () => {
  for (const code of [...problemCodes, ...errorCodes]) {
    expect(codeIn(code, 'en'), code).toMatch(/^[\x20-\x7e]+$/);
    expect(codeIn(code, 'ja'), code).toMatch(/[ぁ-んァ-ン一-龠]/);
  }
});

test('a sentence has its parts and figures in the language of the page', () => {
  const said = {
    reason: 'text_refused',
    parameters: {
      what: { reason: 'what_reason', parameters: {} },
      fault: { reason: 'text_length', parameters: { most: 20 } },
    },
  };
  expect(reasonIn(said, 'en')).toBe('The reason must have 1 to 20 characters.');
  expect(reasonIn(said, 'ja')).toBe('理由：1文字以上、20文字以内で入力してください。');
  expect(reasonIn({ reason: 'of_a_newer_gate', parameters: {} }, 'en')).toBeUndefined();
});

test('the place of a faulty value is said as a person says it, not as a path', () => {
  const said = { reason: 'field_choice', parameters: { at: 'body.scopes.0', words: 'metadata' } };
  expect(reasonIn(said, 'en')).toBe('scopes, entry 1: must be one of metadata.');
  expect(reasonIn(said, 'ja')).toMatch(/^scopesの1番目：/);
  expect(reasonIn({ reason: 'field_missing', parameters: { at: 'body' } }, 'en')).toBe('body: is missing.');
});

test('the management plane refuses with reasons of the catalogue only', () => {
  for (const [file, text] of sources('src/management')) {
    expect(text, file).not.toMatch(/new (?:Fault|Refusal)\(\s*['"`][^'"`]*[ {]/);
    if (file !== 'http/problem.ts') expect(text, file).not.toMatch(/new Problem\([^)]*\bdetail:/);
  }
});

test('pages lead to a document by a link, not by the path of a file', () => {
  const words = readdirSync(join(root, 'portal/src/words'));
  for (const file of words)
    expect(readFileSync(join(root, 'portal/src/words', file), 'utf8'), file).not.toMatch(/docs\/[a-z-]+\.md/);
});

test('no page shows the words of an answer or of the browser', () => {
  for (const [file, text] of pages) {
    expect(text, file).not.toMatch(/\b(?:detail|title)'\]|\.detail\b/);
    // `wordsOf` of api.ts is the one way from an error to words. Trouble has a Problem, whose message is in the page's language, and Fault
    // looks at a message and shows none.
    if (!['api.ts', 'refusals.ts', 'shell/trouble.tsx', 'shell/fault.tsx'].includes(file))
      expect(text, file).not.toMatch(/\b(?:error|problem|reason|against)\)?\??\.message\b/);
  }
});

test('what the gateway says of a state has a type that no page can show, and is not put into a longer text either', () => {
  expect(pages.get('api-types.ts')).toMatch(/type Of<T extends z\.ZodType> = Marked<z\.output<T>>;/);
  for (const [file, text] of pages) {
    expect(text, file).not.toMatch(/\$\{(?:\w+\.)*(?:reason|problem|error|detail)\}/);
    // Quoted marks it as English; a caller's own answer is quoted as it was.
    if (!['shell/cause.ts', 'shell/told.tsx', 'log/request-page.tsx'].includes(file))
      expect(text, file).not.toMatch(/\btextOf\(\w*(?:reason|problem|error|detail|told)\)|as unknown as string/);
  }
});

test('labels, titles and placeholders for those who cannot see the page are in its language too', () => {
  for (const [file, text] of pages)
    for (const [attribute, value = ''] of text.matchAll(/\b(?:aria-label|title|label|placeholder|alt)="([^"]*)"/g))
      expect(/[a-z]{3} |^[A-Z][a-z]+$/.test(value) ? attribute : '', file).toBe('');
});
