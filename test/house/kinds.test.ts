// Everything about a kind of model server is in its folder: other sources know the interface and the list.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, test } from 'vitest';
import { operations } from '../../src/gateway/operation.ts';
import { bodyFields, kinds } from '../../src/upstream/kinds.ts';
import { closed } from '../model-servers/closed.ts';
import { closedRows, fieldRows } from '../model-servers/lists.ts';

const source = join(import.meta.dirname, '../../src');
const room = 'upstream/kinds/';
const names = kinds.map(({ name }) => name);
const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter(
  (file) => file.endsWith('.ts') && !file.endsWith('.test.ts'),
);
const textOf = (file: string): string => readFileSync(join(source, file), 'utf8');

test('the list names exactly the folders of kinds', () => {
  const folders = readdirSync(join(source, room), { withFileTypes: true }).filter((entry) => entry.isDirectory());
  expect(folders.map(({ name }) => name).toSorted()).toEqual(names.toSorted());
});

test('only the list imports a folder from outside it, and no text of the room names a kind', () => {
  const literal = new RegExp(`(['"\`])(?:${names.join('|')})\\1`, 'g');
  const wrong = files
    .filter((file) => file.startsWith('upstream/') || file.startsWith('gateway/'))
    .flatMap((file) => {
      const text = textOf(file);
      const folders = [...text.matchAll(/ from '(\.[^']+)';/g)]
        .map(([, target = '']) => relative(join(source, room), join(source, dirname(file), target)))
        .flatMap((target) => new RegExp(`^(${names.join('|')})/`).exec(target)?.[1] ?? []);
      const foreign = folders.filter((name) => file !== 'upstream/kinds.ts' && !file.startsWith(`${room}${name}/`));
      const named = file.startsWith('upstream/') && !file.startsWith(room) ? [...text.matchAll(literal)] : [];
      return [...foreign.map((name) => `${file} → ${name}`), ...named.map(([name]) => `${file}: ${name}`)];
    });
  expect(wrong).toEqual([]);
});

test('every field that a kind reads is bounded for all of them', () => {
  for (const { fields } of kinds)
    for (const [name, own] of Object.entries(fields))
      expect(bodyFields[name as keyof typeof bodyFields]).toEqual(expect.arrayContaining([...own]));
  expect(bodyFields.lengths.length).toBeGreaterThan(5);
});

describe('docs/model-servers.md lists what no key reaches', () => {
  const section =
    readFileSync(join(source, '../docs/model-servers.md'), 'utf8').split('## What no key reaches')[1] ?? '';
  const rowsOf = (heading: string): string[][] =>
    (section.split(`\n### ${heading}\n`)[1]?.split('\n### ')[0] ?? '')
      .split('\n')
      .filter((line) => line.startsWith('| `'))
      .map((line) =>
        line
          .slice(2, -2)
          .split(' | ')
          .map((cell) => cell.trim()),
      );

  test('every route of a server that is no route of ours', () => {
    expect(rowsOf('Routes')).toEqual(closedRows());
    expect(Object.keys(closed).toSorted()).toEqual(names.toSorted());
  });

  test('none of them is an operation of the gateway', () => {
    const ours = new Set(operations.map(({ path }) => path));
    const theirs = Object.values(closed).flatMap(({ see, generate, steer }) => [...see, ...generate, ...steer]);
    expect(theirs.filter((path) => ours.has(path))).toEqual([]);
  });

  test('every field that a kind bounds', () => {
    expect(rowsOf('Fields')).toEqual(fieldRows());
  });
});
