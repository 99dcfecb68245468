// Japanese texts follow docs/glossary.ja.md: its terms, full-width punctuation, no space beside Latin letters, polite sentences.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '../..');
const read = (name: string): string => readFileSync(join(root, name), 'utf8');
const listed = (place: string, end: string): string[] =>
  existsSync(join(root, place))
    ? readdirSync(join(root, place), { recursive: true, encoding: 'utf8' })
        .filter((name) => name.endsWith(end) && !name.endsWith(`.test${end}`))
        .map((name) => `${place}/${name}`)
    : [];

/** A part that a program or a person fills in; it counts as a Latin letter. */
const filled = 'x';
/** In these, a colon and a space are what is typed. */
const typed = '「名前: 値」';
const japaneseLetter = '[ぁ-んァ-ヶー一-龠々〆]';

/** The strings of a source in which there is Japanese, with letters for what is filled in. */
function stringsOf(source: string): string[] {
  const code = source.replaceAll(/^\s*(?:\/\/|\/?\*).*$/gm, '');
  return Array.from(code.matchAll(/'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`/g), ([literal]) =>
    literal
      .slice(1, -1)
      .replaceAll(/\$\{(?:[^{}]|\{[^{}]*\})*\}|\{\{\w+\}\}|\{\w+\}/g, filled)
      .replaceAll(/\\(.)/g, '$1')
      .replace(typed, '「」'),
  ).filter((text) => new RegExp(japaneseLetter).test(text));
}

/** The paragraphs, cells and list items of a document, without what is code. */
function textsOf(document: string): string[] {
  return (
    document
      .replaceAll(/```[^]*?```|<!--[^]*?-->/g, '')
      .replaceAll(/`[^`]*`/g, filled)
      .replaceAll(/!?\[([^\]]*)\]\([^)]*\)/g, '$1')
      // After bold text, Markdown needs a space.
      .replaceAll(/\*\* ?/g, '')
      .replaceAll(typed, '「」')
      .replaceAll(/\n *(?![\n|#]| *[-*\d])/g, '')
      .split(/\n|(?<!\\)\|/)
      .map((text) => text.replace(/^[#\s>]*(?:[-*]|\d+\.)?\s+/, '').trim())
      .filter((text) => new RegExp(japaneseLetter).test(text))
  );
}

const sources = [
  ...listed('portal/src', '.ts'),
  ...listed('portal/src', '.tsx'),
  ...listed('src/domain', '.ts'),
  ...listed('src/management', '.ts'),
].filter((name) => !name.endsWith('common-passwords.ts') && !name.endsWith('look-alikes.ts'));
const documents = ['README.ja.md', ...listed('docs/ja', '.md')];
const texts: (readonly [place: string, text: string])[] = [
  ...sources.flatMap((name) => stringsOf(read(name)).map((text) => [name, text] as const)),
  ...documents.flatMap((name) => textsOf(read(name)).map((text) => [name, text] as const)),
];

const glossary = read('docs/glossary.ja.md')
  .split('\n')
  .filter((line) => line.startsWith('| ') && !line.startsWith('| 用語') && !line.startsWith('| --'))
  .map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );

/** Texts in which the pattern occurs, by their place. */
const against = (pattern: RegExp, among = texts): string[] =>
  among.filter(([, text]) => pattern.test(text)).map(([place, text]) => `${place}: ${text}`);

test('the Japanese texts of the product are found', () => {
  expect(texts.length).toBeGreaterThan(1200);
  expect(glossary.length).toBeGreaterThan(50);
  expect(stringsOf("const a = { b: 'x は {{n}} 個' };\n  // 'コメント'")).toEqual(['x は x 個']);
  expect(textsOf('# 見出し\n\n- `a` を\n  使う。\n\n| 表 | `b` |')).toEqual(['見出し', 'x を使う。', '表']);
});

test('no Japanese text has a variant that the glossary excludes', () => {
  const terms = glossary.map(([term = '']) => term).toSorted((a, b) => b.length - a.length);
  const rest = texts.map(([place, text]): readonly [string, string] => [
    place,
    terms.reduce((left, term) => left.replaceAll(term, '\0'), text.replace(/^Sekisho（関所）/, '')),
  ]);
  const found = glossary.flatMap(([term, , excluded = '']) =>
    excluded
      .split('、')
      .filter(Boolean)
      .flatMap((variant) => against(new RegExp(variant), rest).map((where) => `${variant} → ${term}: ${where}`)),
  );
  expect(found.map((each) => each.replaceAll('\0', '·'))).toEqual([]);
});

test('punctuation beside Japanese is full-width, and no kana is half-width', () => {
  expect(
    against(new RegExp(`${japaneseLetter} ?[,.!?;:()](?![\\w/*])|${japaneseLetter}\\(|\\)${japaneseLetter}`)),
  ).toEqual([]);
  expect(against(/[｡-ﾟ]/)).toEqual([]);
  expect(against(/[Ａ-Ｚａ-ｚ０-９]/)).toEqual([]);
});

test('there is no space between Japanese and Latin letters or figures', () => {
  const beside = '[\\w{}$*~<>]';
  const japanese = '[ぁ-んァ-ヶー一-龠々、。「」（）：？]';
  expect(
    against(new RegExp(`${japanese} +${beside}|${beside} +${japanese}|${japaneseLetter} +${japaneseLetter}`)),
  ).toEqual([
    // What Windows calls it.
    expect.stringContaining('ローカル コンピューター'),
  ]);
});

test('sentences are polite', () => {
  // A cell of a table may have a clause.
  const cells = new Set(documents.flatMap((name) => textsOf(read(name).replaceAll(/^(?!\|).*$/gm, ''))));
  const prose = texts.filter(([place, text]) => !place.endsWith('.md') || !cells.has(text));
  const plain = prose.flatMap(([place, text]) =>
    (text.match(/[^。]+。/g) ?? [])
      // A list, or a clause that is filled in, may end one.
      .filter(
        (sentence) => !/(?:です|ます|ません|ました|でした|ください)(?:（[^）]*）)?。$|：[^。]*。$|x。$/.test(sentence),
      )
      .map((sentence) => `${place}: ${sentence}`),
  );
  expect(plain).toEqual([]);
});

test('every document that a page links to is there in Japanese, with the same chapters and no command of its own', () => {
  const [, union = ''] = /export type Document =([^;]+);/.exec(read('portal/src/shell/help.tsx')) ?? [];
  const linked = Array.from(union.matchAll(/'([\w-]+)'/g), ([, name = '']) => name);
  expect(linked.length).toBeGreaterThan(5);
  expect(listed('docs/ja', '.md').toSorted()).toEqual(linked.map((name) => `docs/ja/${name}.md`).toSorted());
  const commandsOf = (text: string): string[] =>
    Array.from(text.matchAll(/```\w*\n([^]*?)```/g), ([, block = '']) => block.split('\n')).flat();
  for (const name of linked) {
    const [english, japanese] = [read(`docs/${name}.md`), read(`docs/ja/${name}.md`)];
    expect(japanese.match(/^## /gm)?.length, name).toBe(english.match(/^## /gm)?.length);
    const known = new Set(commandsOf(english));
    expect(
      commandsOf(japanese).filter((line) => !known.has(line)),
      name,
    ).toEqual([]);
  }
});
