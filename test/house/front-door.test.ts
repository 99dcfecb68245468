// The first documents that a newcomer reads: both READMEs say the same, the commands in them exist, and hosted CI runs what
// the README says.
import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '../..');
const read = (name: string): string => readFileSync(join(root, name), 'utf8');
const readmes = ['README.md', 'README.ja.md'] as const;

/** Code blocks as they are run: comments at the end of a line and what is asked of the model differ between the languages. */
const blocksOf = (text: string): string[] =>
  Array.from(text.matchAll(/^```\w*\n([\s\S]*?)^```/gm), ([, code = '']) =>
    code.replaceAll(/ +# .*$/gm, '').replaceAll(/"content": "[^"]+"/g, '"content"'),
  );
const withoutCode = (text: string): string => text.replaceAll(/^```[\s\S]*?^```/gm, '');
const linksOf = (text: string): string[] =>
  Array.from(withoutCode(text).matchAll(/\]\(([^)]+)\)/g), ([, target = '']) => target).filter(
    (target) => !target.startsWith('README'),
  );
/** The Japanese twin of a document or picture, if it has one. */
const inJapanese = (target: string): string => {
  const twin = target.replace(/^docs\/(?=[\w-]+\.md$)/, 'docs/ja/').replace(/\.png$/, '-ja.png');
  return existsSync(join(root, twin)) ? twin : target;
};
/** The commands of both, and of CONTRIBUTING.md, one per line. */
const commandsOf = (text: string): string[] => blocksOf(text).flatMap((block) => block.split('\n'));

test('README.md and README.ja.md have the same structure, code, links and tables', () => {
  const [english, japanese] = readmes.map((name) => read(name)) as [string, string];
  const levels = (text: string): string[] => withoutCode(text).match(/^#+(?= )/gm) ?? [];
  expect(levels(japanese)).toEqual(levels(english));
  expect(blocksOf(japanese)).toEqual(blocksOf(english));
  expect(linksOf(japanese)).toEqual(linksOf(english).map(inJapanese));
  const count = (text: string, what: RegExp): number => (withoutCode(text).match(what) ?? []).length;
  for (const what of [/^\|/gm, /^- /gm, /^!\[/gm]) expect(count(japanese, what)).toBe(count(english, what));
  // Names in backticks are the same in both, whatever the sentence around them.
  const names = (text: string): string[] => [...new Set(withoutCode(text).match(/`[^`\n]+`/g))].toSorted();
  expect(names(japanese)).toEqual(names(english));
});

test('the first two commands of the README start the gateway and run every test, as .ci/run and the workflow do', () => {
  for (const name of readmes) {
    const commands = blocksOf(read(name)).map((block) => block.trim());
    expect(commands[0]).toBe('npm ci && npm start');
    expect(commands).toContain('npm ci && npm test');
  }
  expect(read('.ci/run').trim().split('\n').at(-1)).toBe('npm ci && npm test');
  expect(read('.github/workflows/ci.yml')).toMatch(/^ +- run: \.ci\/run$/m);
});

test('no example makes an unlimited first key', () => {
  for (const name of readmes) {
    const made = commandsOf(read(name)).filter((line) => line.includes('key create'));
    expect(made.length).toBeGreaterThan(0);
    for (const line of made) expect(line).toMatch(/--account (?!operator)/);
  }
});

/** Lines of these files that match, apart from rules about such words, as the name of the file and the line. */
function linesThat(match: RegExp, names: readonly string[]): string[] {
  return names.flatMap((name) =>
    read(name)
      .split('\n')
      .filter((line) => match.test(line) && !line.includes('\\b('))
      .map((line) => `${name}: ${line}`),
  );
}

test('the documents use “they” for people', () => {
  const documents = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'SECURITY.md', 'bench/README.md'];
  for (const name of globSync('docs/**/*.md', { cwd: root })) documents.push(name);
  expect(documents.length).toBeGreaterThan(25);
  expect(linesThat(/\b(he|his|him|himself|whoever|nobody’s)\b/i, documents)).toEqual([]);
});

test('comments, texts and test names use “they” for people', () => {
  const sources = globSync('{src,portal/src,test,bench,scripts}/**/*.{ts,tsx,mjs,sh}', {
    cwd: root,
    exclude: ['**/node_modules/**', 'bench/work/**'],
  });
  expect(sources.length).toBeGreaterThan(400);
  expect(linesThat(/\b(he|his|him|himself)\b/i, sources)).toEqual([]);
  const tests = sources.filter((name) => !name.includes('src/') || name.endsWith('.test.ts'));
  expect(
    linesThat(/^\s*(?:\/\/|\/?\*|test\b|describe\b|\]?\)\().*\b(?:whoever|nobody’s|somebody’s)\b/i, tests),
  ).toEqual([]);
});

/** Words of translated or archaic English, and where each is a name in code, a quotation or a fixture. */
const forbidden: readonly (readonly [word: RegExp, allowed: RegExp])[] = [
  [/\bwhoever\b/i, /^bench\/(?:upstream|measure)\.ts/],
  [/\banew\b/i, /\banew[,:)]|\(anew\b|const anew|\? anew|`anew`|\banew\.ts|-anew'|anew [?}]/],
  [/\bthis once\b/i, /^$/],
  [/\be-mails?\b/i, /glossary\.ja\.md/],
  [/\bfor ever\b/i, /^$/],
  [/\bletters? (?:is|are) (?:sent|delivered|on)\b|\bin (?:that|a) letter\b/i, /^$/],
  [/\b(?:hands?|handed) on\b/i, /^$/],
];

test('texts, comments and documents avoid words that read as translated', () => {
  const names = globSync(
    ['{src,portal/src,test,bench,scripts}/**/*.{ts,tsx,mjs,sh}', 'docs/**/*.md', '*.md', 'bench/README.md'],
    { cwd: root, exclude: ['**/node_modules/**', 'bench/work/**', 'test/house/**'] },
  );
  const found = forbidden.flatMap(([word, allowed]) => linesThat(word, names).filter((line) => !allowed.test(line)));
  expect(found).toEqual([]);
});

test('the documents name only existing npm scripts and files', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
  for (const name of [...readmes, 'CONTRIBUTING.md', 'SECURITY.md', ...globSync('docs/**/*.md', { cwd: root })]) {
    const text = read(name);
    for (const [, script = ''] of text.matchAll(/npm run (?:-s )?([\w:]+)/g))
      expect(Object.keys(scripts), `${name}: npm run ${script}`).toContain(script);
    const paths = (text.match(/(?<=[`\s(])(?:src|test|portal|scripts|docs|bench|deploy)\/[\w./-]+\w/g) ?? []).filter(
      (path) => !path.includes('**') && !/\/dist$|^test\/fuzz\/failures/.test(path),
    );
    for (const path of paths) expect(existsSync(join(root, path)), `${name}: ${path}`).toBe(true);
  }
});

test('a line for curl works with curl before 7.82, which has no --json', () => {
  // docs/first-run.md is a record of what somebody typed.
  const files = globSync(['README*.md', 'docs/**/*.md', '{portal/src,src}/**/*.{ts,tsx}'], { cwd: root });
  const lines = files
    .filter((file) => file !== 'docs/first-run.md')
    .flatMap((file) =>
      [...readFileSync(join(root, file), 'utf8').matchAll(/\bcurl (?:[^`\n]|\\\n)*--json/g)].map(([line]) => [
        file,
        line,
      ]),
    );
  expect(lines).toEqual([]);
});
