// Everything about a dialect is in its folder: other sources know the interface and the list, and name no dialect.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { expect, test } from 'vitest';
import { ownSegments } from '../../src/domain/service-table.ts';
import { lengthNames } from '../../src/gateway/answer-length.ts';
import { dialects } from '../../src/gateway/dialects/dialects.ts';
import { dialectOf, operations } from '../../src/gateway/operation.ts';
import { mayGoOn } from '../fuzz/crossing.ts';

const source = join(import.meta.dirname, '../../src');
const room = 'gateway/dialects/';
const names = dialects.map(({ name }) => name);
const anyName = names.join('|');
const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter(
  (file) => file.endsWith('.ts') && !file.endsWith('.test.ts'),
);

const textOf = (file: string): string => readFileSync(join(source, file), 'utf8');
const withoutComments = (text: string): string => text.replace(/^\s*(?:\/\/|\/?\*).*$/gm, '');

/**
 * Kinds of model servers have the same names as dialects, and some of their headers begin with them; one setting
 * refuses the word as a secret.
 */
const others = (file: string): boolean => file.startsWith('upstream/kinds/') || file === 'settings/config.ts';

test('the list names exactly the folders of dialects', () => {
  const folders = readdirSync(join(source, room), { withFileTypes: true }).filter((entry) => entry.isDirectory());
  expect(folders.map(({ name }) => name).toSorted()).toEqual(names.toSorted());
});

test('no text outside the folders names a dialect or a kind of its answers', () => {
  const literal = new RegExp(`(['"\`])(?:${anyName})(?:-[a-z-]+)?\\1`, 'g');
  const found = files
    .filter((file) => !file.startsWith(room) && !others(file))
    .flatMap((file) => [...withoutComments(textOf(file)).matchAll(literal)].map(([text]) => `${file}: ${text}`));
  expect(found).toEqual([]);
});

test('only the list imports a folder from outside it, and nothing depends on the name of a dialect or operation', () => {
  const wrong = files.flatMap((file) => {
    const text = textOf(file);
    const folders = [...text.matchAll(/ from '(\.[^']+)';/g)]
      .map(([, target = '']) => relative(join(source, room), join(source, dirname(file), target)))
      .flatMap((target) => new RegExp(`^(${anyName})/`).exec(target)?.[1] ?? []);
    const own = folders.filter((folder) => file !== `${room}dialects.ts` && !file.startsWith(`${room}${folder}/`));
    return [
      ...own.map((folder) => `${file} → ${folder}`),
      ...(/\b(?:dialect|operation)\.name *[!=]==|switch \([\w.]*(?:dialect|operation)\.name/.test(text) ? [file] : []),
    ];
  });
  expect(wrong).toEqual([]);
});

test('no dialect forwards a header that identifies the caller or belongs to a connection', () => {
  for (const { name, onward } of dialects)
    expect(
      onward.filter((header) => !mayGoOn(header)),
      name,
    ).toEqual([]);
});

test('wherever a request bounds its answer, the bound has a name that is held to the plan on every route', () => {
  for (const { name, reply } of operations) if (reply.length) expect(lengthNames, name).toContain(reply.length.name);
});

test('every operation is refused in the words of its table’s dialect', () => {
  for (const { path, dialect } of operations) expect(dialectOf(path), path).toBe(dialect);
  expect(operations.length).toBeGreaterThan(30);
});

test('no published service can stand under an address that the gate answers itself', () => {
  const listener = textOf('listener/server.ts');
  const shell = [...listener.matchAll(/url(?: === |\.startsWith\()'\/([a-z]+)/g)].map(
    ([, segment]) => segment as string,
  );
  expect(shell).toEqual(expect.arrayContaining(['healthz', 'readyz', 'management', 'portal']));
  const answered = [...operations.map(({ path }) => path.split('/')[1] as string), ...shell];
  expect(answered.filter((segment) => !ownSegments.has(segment))).toEqual([]);
});
