import { expect, test } from 'vitest';
import { kindNamed } from '../../upstream/kinds.ts';
import { knownFrom } from '../../upstream/known-models.ts';
import { listedOf } from '../../upstream/v1-models.ts';
import { plainName } from '../model-names.ts';
import { operations } from '../operation.ts';
import { CallTranslation, type Translating } from './call-translation.ts';

const operation = operations.find(({ path }) => path === '/api/chat');
const server = {
  kind: kindNamed('openai'),
  routes: {},
  mayHave: (path: string) => path === '/v1/chat/completions',
  models: knownFrom(['Org/Model', 'org/model', 'Other'].flatMap((id) => listedOf({ id }))),
  details: { contextOf: () => undefined },
  health: { up: true },
} as unknown as Translating;

test.each([
  ['Org/Model', 'Org/Model'],
  ['org/model', 'org/model'],
  ['ORG/MODEL', 'org/model'],
  ['other:latest', 'Other'],
  ['missing', 'missing'],
])('%s is asked for as the server spells it, and never another one whose name differs in case', (text, sent) => {
  if (!operation) throw new Error('no such operation');
  const body = Buffer.from(JSON.stringify({ model: text, messages: [{ role: 'user', content: 'x' }] }));
  const call = { operation, models: [plainName(text)], stream: false, usageInjected: false, body, figured: undefined };
  const opened = CallTranslation.of(call)?.openFor(server, true);
  expect(JSON.parse(String(opened?.body.bytes()))).toMatchObject({ model: sent });
});
