// No check of the request path can be omitted: the compiler refuses the pipeline without any one of its lines, and with a
// line that passes on its input instead of the proof that it makes.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Node, SyntaxKind } from 'typescript/unstable/ast';
import {
  isBlock,
  isFunctionDeclaration,
  isIdentifier,
  isTryStatement,
  isVariableStatement,
} from 'typescript/unstable/ast/is';
import { API } from 'typescript/unstable/sync';
import { afterAll, expect, test } from 'vitest';

const root = join(import.meta.dirname, '../..');
const file = join(root, 'src/gateway/pipeline.ts');
const config = join(root, 'tsconfig.pipeline.json');
const source = readFileSync(file, 'utf8');

/** Lines that compile when they are removed, by how they begin, and what a call then experiences. */
const spared: Record<string, string> = {
  'if (asksForOptions(transported))': 'no operation has the method: 405',
  'if (asksForRoot(fetched))': 'no operation has the path: 404',
  'if (fetched.described': 'no operation has the path: 404',
  'if (gate.announced.header': 'the answer carries no announcement',
  'if (asksForTicket(claimed))': 'the service is asked for it, as for any other path, and gives none',
  'if (isMerged(routed, gate))': 'the list of the first server alone, without aliases, and only what the key may see',
  'if (isSpread(routed))': 'only the first of the servers that the call names gets it',
  'if (mustShow(routed))': 'no blob counts as shown, and the key can create from none',
  'if (error instanceof FailedIdentification)': 'the refusal is the same; the ladder does not count it',
  'if (isLater(usage))': 'the same, where the ladder counts it',
};

// One program for all of them, in memory: only the text of the pipeline changes.
let text = source;
const contentOf = (name: string): string | undefined => {
  if (name === config) return '{"extends":"./tsconfig.json","files":["src/gateway/pipeline.ts"],"include":[]}';
  return name === file ? text : undefined;
};
const api = new API({
  cwd: root,
  fs: { readFile: contentOf, fileExists: (name) => (contentOf(name) === undefined ? undefined : true) },
});
let snapshot = api.updateSnapshot({ openProjects: [config] });
afterAll(() => api.close());

/** Errors about unused names: an unused line could be removed too, so these do not count as a refusal. */
const unused = new Set([6133, 6192, 6196, 6198]);

/** The compiler's errors for another text of the pipeline. */
function errorsOf(changed: string): string[] {
  text = changed;
  const before = snapshot;
  snapshot = api.updateSnapshot({ fileChanges: { changed: [file] } });
  before.dispose();
  const { program } = snapshot.getProject(config)!;
  const found = [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)];
  return found.filter(({ code }) => !unused.has(code)).map((error) => `${error.code} ${error.text}`);
}

interface Line {
  readonly at: Node;
  readonly text: string;
  /** Constants declared before it in its function, and its parameters. */
  readonly before: readonly string[];
}

/** Every statement of every function, also those inside a `try`. */
function linesOf(body: Node, before: string[]): Line[] {
  const lines: Line[] = [];
  body.forEachChild((at) => {
    lines.push({ at, text: source.slice(at.pos, at.end).trim(), before: [...before] });
    if (isVariableStatement(at))
      for (const { name } of at.declarationList.declarations) if (isIdentifier(name)) before.push(name.text);
    if (isTryStatement(at))
      for (const block of [at.tryBlock, at.catchClause?.block, at.finallyBlock])
        if (block) lines.push(...linesOf(block, before));
    return undefined;
  });
  return lines;
}

const makers = new Set([SyntaxKind.CallExpression, SyntaxKind.AwaitExpression, SyntaxKind.ConditionalExpression]);
const parsed = snapshot.getProject(config)!.program.getSourceFile(file)!;
const lines = parsed.statements.flatMap((statement) =>
  isFunctionDeclaration(statement) && statement.body && isBlock(statement.body)
    ? linesOf(
        statement.body,
        statement.parameters.flatMap(({ name }) => (isIdentifier(name) ? [name.text] : [])),
      )
    : [],
);
const isSpared = ({ text: line }: Line): boolean => Object.keys(spared).some((start) => line.startsWith(start));
const firstLine = (line: string): string => line.split('\n', 1)[0] as string;

test('the pipeline as it is compiles', () => {
  expect(errorsOf(source)).toEqual([]);
  expect(lines.length).toBeGreaterThan(30);
});

test.each(lines.filter((line) => !isSpared(line)).map((line) => [firstLine(line.text), line] as const))(
  'it does not compile without this line: %s',
  (_, { at }) => {
    expect(errorsOf(source.slice(0, at.pos) + source.slice(at.end))).not.toEqual([]);
  },
);

test('the lines that may be omitted are listed with their consequence, and no others', () => {
  for (const line of lines.filter(isSpared))
    expect(errorsOf(source.slice(0, line.at.pos) + source.slice(line.at.end)), line.text).toEqual([]);
  for (const start of Object.keys(spared))
    expect(
      lines.some((line) => line.text.startsWith(start)),
      start,
    ).toBe(true);
});

/** Constants that a stage makes, with the position of the expression that makes them. */
const proofs = lines.flatMap(({ at, before }) => {
  const [declaration] = isVariableStatement(at) ? at.declarationList.declarations : [];
  const made = declaration?.initializer;
  return made && isIdentifier(declaration.name) && makers.has(made.kind)
    ? [{ name: declaration.name.text, made, before }]
    : [];
});

test.each(proofs)('no earlier value is accepted in place of $name', ({ made, before }) => {
  for (const other of before)
    expect(errorsOf(`${source.slice(0, made.pos)} ${other}${source.slice(made.end)}`), other).not.toEqual([]);
});

test('no file makes the proof of another file', () => {
  const gateway = join(root, 'src/gateway');
  const files = readdirSync(gateway, { recursive: true, encoding: 'utf8' }).filter((name) =>
    /(?<!\.test)\.ts$/.test(name),
  );
  const texts = new Map(files.map((name) => [name, readFileSync(join(gateway, name), 'utf8')]));
  const made = [...texts].flatMap(([name, content]) =>
    [...content.matchAll(/^export interface (\w+) extends (?:.*, )?\w*Mark\b/gm)].map(([, proof]) => ({ name, proof })),
  );
  expect(made.length).toBeGreaterThan(15);
  const forged = made.flatMap(({ name, proof }) =>
    [...texts].flatMap(([other, content]) =>
      other !== name && new RegExp(`\\bas (\\w+ & )*${proof}\\b`).test(content) ? [`${other} makes a ${proof}`] : [],
    ),
  );
  expect(forged).toEqual([]);
  const supposing = files.filter((name) => /\bsuppose\b/.test(texts.get(name)!));
  expect(supposing).toEqual(['identify.ts', 'introspection.ts']);
});

/** These make the record, or read what was done. None of them is a stage. */
const readers = [
  'access-log.ts',
  'introspection.ts',
  'limits/ladder.ts',
  'live-stats.ts',
  // Whether the caller was known, once the exchange is settled.
  'pipeline.ts',
  'record.ts',
  'request-metrics.ts',
];

test('no stage reads what another noted for the record: it decides only by its proof', () => {
  const gateway = join(root, 'src/gateway');
  const reading = readdirSync(gateway, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts') && name !== 'record-facts.ts')
    .filter((name) => /\brecordFactsOf\b|\bas RecordFacts\b/.test(readFileSync(join(gateway, name), 'utf8')));
  expect(reading.toSorted()).toEqual(readers);
});
