// A JSON body from its bytes to what is forwarded to the model server. The gate and Ollama read the same model, stream flag
// and number of images from it; the forwarded body is within the plan, as Ollama reads it; and nothing else was changed.
import assert from 'node:assert/strict';
import type { NameId } from '../../../src/domain/id.ts';
import { firstPlans, openTerms, type Plan, type Terms } from '../../../src/domain/plan.ts';
import { choiceNames, lengthNames } from '../../../src/gateway/answer-length.ts';
import { type Shaped, shape, shapeFor } from '../../../src/gateway/apply-plan.ts';
import { authorizeIntent } from '../../../src/gateway/authorize.ts';
import { ContextSizes } from '../../../src/gateway/context-size.ts';
import type { Operation } from '../../../src/gateway/dialects/dialect.ts';
import type { Claimed } from '../../../src/gateway/identity/replay-guard.ts';
import { readJson } from '../../../src/gateway/intent.ts';
import type { ModelRules } from '../../../src/gateway/model-access.ts';
import type { ModelFacts } from '../../../src/gateway/model-facts.ts';
import { ModelNames, plainName } from '../../../src/gateway/model-names.ts';
import { operations } from '../../../src/gateway/operation.ts';
import type { Prechecked } from '../../../src/gateway/precheck.ts';
import type { Upstream } from '../../../src/upstream/server.ts';
import { type GoObject, goStyleParse, isObject } from '../../fake-ollama/go-json.ts';
import { isProblem, readName } from '../../fake-ollama/model-name.ts';
import { caller } from '../credentials.ts';
import { jsonTexts, requestBodies } from '../fixtures.ts';
import { keepAliveSeconds } from '../keep-alive.ts';
import { type Target, verdict } from '../target.ts';

const rows = operations.filter(({ body }) => body === 'json');
const strictest: Plan = {
  ...(firstPlans[0] as Plan),
  name: 'strictest',
  maxContextTokens: 0,
  maxOutputTokens: 0,
  minKeepAliveSeconds: 0,
  maxKeepAliveSeconds: 0,
  maxImages: 0,
  maxEmbeddingInputs: 1,
};
const onlyAtMost: Plan = { ...openTerms, name: 'at most', version: 1, maxKeepAliveSeconds: 600, maxOutputTokens: 100 };
const plans = [undefined, ...firstPlans, strictest, onlyAtMost];
const callers = plans.map((plan) => caller(plan));
/** Two servers that need different edits; the body is first written for one of them. */
const facts = (): ModelFacts =>
  [3, undefined].map((own) => ({
    server: {} as Upstream,
    contexts: new ContextSizes(
      () => (own === undefined ? 16_384 : undefined),
      () => 0,
    ),
    mayHave: () => true,
    answerTokens: (model) => (model === 'short:latest' ? own : undefined),
  }));
const names = new ModelNames({ isServed: () => true, isRemote: () => false });
names.setNames([
  {
    id: 'nam_1' as NameId,
    name: 'alias',
    canonical: 'alias:latest',
    target: 'Some/Model',
    plans: {},
    fallbacks: [],
    createdAt: 0,
    changedAt: 0,
    version: 1,
  },
]);
const rules: ModelRules = {
  names,
  registryHosts: new Set(['registry.ollama.ai']),
  isRemote: () => false,
  reachesServer: () => true,
  hasShown: () => false,
};

/** The first byte selects the route, the second the plan; the rest is the body. */
function run(bytes: Buffer): void {
  const operation = rows[(bytes[0] ?? 0) % rows.length] as Operation;
  const who = (bytes[1] ?? 0) % callers.length;
  const body = Buffer.from(bytes.subarray(2));
  const prechecked = { operation, caller: { principal: callers[who] }, parameter: '' } as unknown as Prechecked;
  const { value: call } = verdict(() =>
    shape(authorizeIntent(readJson(prechecked, body, names) as Claimed, rules), facts()),
  );
  if (!call) return;
  const sent = goStyleParse(body.toString('utf8'));
  const goesOn = call.body as Buffer;
  const heard = goStyleParse(goesOn.toString('utf8'));
  checkReading(call, sent);
  checkSearches(call, sent, heard);
  const replaced = call.models[0]?.sent;
  if (replaced !== undefined)
    assert.equal(nameIn(call, heard), replaced, 'Ollama reads another model than the alias means');
  const [before, after] = [body, goesOn].map((each) => JSON.parse(each.toString('utf8')) as GoObject);
  checkUnchanged(before as GoObject, after as GoObject, replaced);
  if (replaced === undefined && call.edits.length === 0 && call.changes.length === 0) assert.ok(goesOn.equals(body));
  if (call.usageInjected) assert.equal((heard['stream_options'] as GoObject)['include_usage'], true);
  const { bounds } = call.caller.principal;
  if (bounds) checkBounds(call, heard, bounds);
  checkFallback(call);
}

/** The name of the model as Ollama reads it. */
const nameIn = ({ operation }: Shaped, go: GoObject): unknown =>
  operation.model === 'model-or-name' ? go['model'] || go['name'] : go['model'];

/** The same call for another model, once it has waited. */
function checkFallback(call: Shaped): void {
  const [model] = call.models;
  if (!model || !call.operation.takesAliases) return;
  const other = { ...plainName('short'), text: model.text, sent: 'short' };
  const { value: again } = verdict(() => shapeFor(other, call, facts()));
  if (!again) return;
  const heard = goStyleParse((again.body as Buffer).toString('utf8'));
  assert.equal(nameIn(call, heard), 'short', 'Ollama reads another model than the fallback');
  const { bounds } = again.caller.principal;
  if (bounds) checkBounds(again, heard, bounds);
}

function checkReading(
  { operation, models, stream, leavesTheBox, caller: { principal }, images, inputs, promptEstimate }: Shaped,
  go: GoObject,
): void {
  const text = (name: string): string => (typeof go[name] === 'string' ? go[name] : '');
  const theirs = {
    none: [],
    path: [],
    form: [],
    model: [text('model')],
    copy: [text('source'), text('destination')],
    'model-or-name': [text('model') || text('name')],
    registry: [text('model') || text('name')],
    create: [text('model') || text('name'), ...(text('from') === '' ? [] : [text('from')])],
  }[operation.model];
  assert.deepEqual(
    models.map((model) => model.text.toWellFormed()),
    theirs,
    'Ollama reads another model',
  );
  for (const name of theirs) {
    const read = readName(name);
    if (!isProblem(read)) assert.ok(!read.cloud || principal.scopes.has('cloud'), 'a cloud model was accepted');
  }
  if (operation.streamDefault !== null) assert.equal(stream, go['stream'] ?? operation.streamDefault);
  if (text('remote_host') !== '') assert.ok(leavesTheBox && principal.scopes.has('cloud'));
  if (principal.plan === undefined) return;
  assert.equal(images, countImages(go));
  // Whatever the body says about images, the call is a real request.
  assert.ok(promptEstimate >= 600 * images, 'a prompt counts less than its images');
  if (operation.scope === 'inference:embed') {
    const lengths = ['input', 'inputs', 'content', 'prompt'].map((name) =>
      (go[name] ?? null) === null ? 0 : [go[name]].flat().length,
    );
    assert.equal(inputs, Math.max(...lengths));
  }
}

/** Ollama runs such a tool itself, on the operator's account. */
function checkSearches({ caller: { principal } }: Shaped, sent: GoObject, heard: GoObject): void {
  if (principal.scopes.has('cloud')) return;
  const toolsOf = (go: GoObject): unknown[] => (Array.isArray(go['tools']) ? go['tools'] : []);
  const isSearch = (tool: unknown): boolean => isObject(tool) && /^web_search/i.test(String(tool['type']));
  assert.deepEqual(
    toolsOf(heard),
    toolsOf(sent).filter((tool) => !isSearch(tool)),
    'a web search was accepted',
  );
}

/** Counts images in every place where one of the three dialects takes them from. */
function countImages(go: GoObject): number {
  const list = (of: unknown): unknown[] => (Array.isArray(of) ? of : []);
  const part = (of: unknown): number =>
    isObject(of) &&
    typeof of['type'] === 'string' &&
    ['image', 'image_url', 'input_image', 'input_image_url'].includes(of['type'])
      ? 1
      : 0;
  const sum = (items: unknown[], count: (item: unknown) => number): number =>
    items.reduce<number>((total, item) => total + count(item), 0);
  const message = (of: unknown): number => {
    if (!isObject(of)) return 0;
    const parts = [...list(of['content']), ...list(of['output'])];
    const inParts = (piece: unknown): number => part(piece) + (isObject(piece) ? sum(list(piece['content']), part) : 0);
    return list(of['images']).length + sum(parts, inParts);
  };
  return list(go['images']).length + sum([...list(go['messages']), ...list(go['input'])], message);
}

const shaping = new Set(
  'options stream_options keep_alive shift raw template _debug_render_only tools tool_choice width height steps'.split(
    ' ',
  ),
);
const lengths = new Set<string>(lengthNames);
const reloads = 'num_gpu num_batch num_thread main_gpu use_mmap draft_num_predict'.split(' ');
const optionsShaped = new Set<string>([...reloads, 'num_ctx', ...lengthNames]);

/** `replaced`: the name of the model in place of an alias. */
function checkUnchanged(sent: GoObject, heard: GoObject, replaced: string | undefined): void {
  for (const name of new Set([...Object.keys(sent), ...Object.keys(heard)])) {
    const [before, after] = [sent[name], heard[name]];
    if (name === 'options' && isObject(before) && isObject(after)) {
      for (const option of new Set([...Object.keys(before), ...Object.keys(after)]))
        if (!optionsShaped.has(option))
          assert.deepEqual(after[option], before[option], `options.${option} was changed`);
    } else if (replaced !== undefined && (name === 'model' || name === 'name'))
      assert.ok(after === before || after === replaced, `${name} was changed`);
    else if (!shaping.has(name) && !lengths.has(name)) assert.deepEqual(after, before, `${name} was changed`);
  }
}

function checkBounds({ operation, images, inputs }: Shaped, heard: GoObject, bounds: Terms): void {
  const options = isObject(heard['options']) ? heard['options'] : {};
  const gone = (value: unknown, name: string): void =>
    assert.ok(value === undefined || value === null, `${name} is present`);
  if (bounds.reloadOptions === 'strip') {
    for (const name of reloads) gone(options[name], name);
    gone(heard['shift'], 'shift');
  }
  if (bounds.templates === 'strip') for (const name of ['raw', 'template']) gone(heard[name], name);
  if (bounds.debugFields === 'strip') gone(heard['_debug_render_only'], '_debug_render_only');
  const context = options['num_ctx'];
  if (bounds.maxContextTokens === 0) gone(context, 'num_ctx');
  else if (bounds.maxContextTokens !== null && context !== undefined && context !== null)
    assert.ok(Number.isInteger(context) && (context as number) <= bounds.maxContextTokens, 'num_ctx is over the plan');
  checkOutput(operation, heard, options, bounds);
  const { minKeepAliveSeconds: least, maxKeepAliveSeconds: most } = bounds;
  const seconds = keepAliveSeconds(heard['keep_alive']);
  if (seconds !== undefined) {
    assert.ok(most === null || seconds <= most, `kept alive for ${seconds} s, over the plan`);
    // Ollama truncates to whole nanoseconds.
    assert.ok(least === null || seconds >= least - 1e-9, `kept alive for ${seconds} s, under the plan`);
  }
  assert.ok(bounds.maxImages === null || images <= bounds.maxImages);
  assert.ok(bounds.maxEmbeddingInputs === null || inputs <= bounds.maxEmbeddingInputs);
}

/** The operation's name selects the field in which its server reads the bound. */
const bounded: Record<string, (heard: GoObject, options: GoObject) => unknown> = {
  generate: (_, options) => options['num_predict'],
  chat: (_, options) => options['num_predict'],
  'chat-completions': (heard) => heard['max_tokens'],
  completions: (heard) => heard['max_tokens'],
  messages: (heard) => heard['max_tokens'],
  responses: (heard) => heard['max_output_tokens'],
};

function checkOutput(operation: Operation, heard: GoObject, options: GoObject, { maxOutputTokens: most }: Terms): void {
  const ownLength = bounded[operation.name];
  if (most === null || !ownLength) return;
  const tokens = ownLength(heard, options);
  const choices = [heard, options].flatMap((place) => choiceNames.map((name) => place[name] ?? 1));
  for (const place of [heard, options])
    for (const length of [tokens, ...lengthNames.map((name) => place[name] ?? 1)])
      for (const count of choices)
        assert.ok(
          Number.isInteger(length) &&
            (length as number) > 0 &&
            (length as number) * (count as number) <= Math.max(1, most),
          'without end',
        );
}

function seedFor(path: string, body: string): string[] {
  const row = rows.findIndex((operation) => operation.path === path);
  return row < 0 ? [] : plans.map((_, plan) => String.fromCharCode(row, plan) + body);
}

export const target: Target = {
  words: (
    '"keep_alive":-1|"keep_alive":"1h30m"|"keep_alive":"-1ns"|"num_predict":-1|"num_ctx":1e9|"max_tokens":0|"stream":false|' +
    '"max_completion_tokens":5|"n":3|"best_of":2|"n_predict":-1|"max_new_tokens":9e9|"tool_choice":"required"|' +
    '"stream_options":{"include_usage":false}|"options":{}|"options":null|"images":["a"]|,|' +
    '"type":"image_url"|"content":[{"type":"image"}]|"tools":[{"type":"web_search"}]|"input":["a","b"]|-0.0000001|"0s"|' +
    '"shift":true|"raw":true|"template":"x"|"model":"m:cloud"|"model":"ALIAS"|"name":"alias"|"name":"m"|"from":"hf.co/a/b"|"1.5\u00b5s"|"MODEL"|"Options"'
  ).split('|'),
  mostBytes: 1000,
  seeds: () => [
    ...requestBodies.flatMap(({ path, body }) => seedFor(path, body).slice(0, 2)),
    ...jsonTexts.map((text) => `\x02\x01${text}`),
    ...seedFor(
      '/api/chat',
      '{"model":"m","options":{"num_gpu":1,"num_ctx":1000000,"num_predict":-2,"seed":9007199254740993}}',
    ),
    ...seedFor(
      '/api/generate',
      '{"model":"m","keep_alive":"5m","raw":true,"shift":false,"template":"x","images":["a"]}',
    ),
    ...seedFor(
      '/api/generate',
      '{"model":"m","options":{"num_batch":1,"num_thread":1,"main_gpu":1,"use_mmap":true,"draft_num_predict":1},' +
        '"_debug_render_only":true}',
    ),
    // A regular expression with two ways to match a number never returned from this input.
    ...seedFor('/api/generate', `{"model":"m","keep_alive":"${'08m'.repeat(100)}x"}`),
    ...seedFor('/api/embed', '{"model":"m","input":["a","b"],"keep_alive":-1}'),
    ...seedFor(
      '/v1/chat/completions',
      '{"model":"m","stream":true,"stream_options":{"x":1},"max_completion_tokens":7}',
    ),
    ...seedFor(
      '/v1/chat/completions',
      '{"messages":[{"content":[{"type":"image_url"}]}],"model":"m","tools":[{"type":"web_search"}]}',
    ),
    ...seedFor('/v1/responses', '{"model":"m","input":[{"content":[{"type":"input_image"}]}],"max_output_tokens":0}'),
    ...seedFor(
      '/v1/responses',
      '{"model":"short","input":"x","tools":[{"type":"function"},{"type":"web_search"}],"tool_choice":{"type":"function","name":"f"}}',
    ),
    ...seedFor(
      '/v1/completions',
      '{"model":"short","prompt":["a","b"],"n":2,"n_predict":7,"max_tokens":null,"stream":null}',
    ),
    ...seedFor('/api/generate', '{"model":"short","options":{"max_new_tokens":0},"width":4096,"steps":1000}'),
    ...seedFor('/api/chat', '{"model":"short","options":{"n":0}}'),
    ...seedFor('/api/chat', '{"model":"short","options":[],"best_of":5000}'),
    ...seedFor('/v1/messages', '{"model":"short","max_output_tokens":-1,"n_cmpl":2,"options":{"num_predict":3}}'),
    ...seedFor('/v1/messages', '{"model":"m","tools":[{"type":"web_search","name":"w"}],"tool_choice":{"type":"any"}}'),
    ...seedFor(
      '/v1/chat/completions',
      '{"model":"m","tools":[{"type":"web_search"}],"tool_choice":{"type":"allowed_tools","allowed_tools":{"tools":[{"type":"web_search"}]}}}',
    ),
    ...seedFor('/v1/chat/completions', '{"model":"m","tools":[{"type":"web_search"}],"tool_choice":"auto"}'),
    ...seedFor(
      '/v1/messages',
      '{"model":"m","max_tokens":5,"messages":[{"content":[{"type":"tool_result","content":[{"type":"image"}]}]}]}',
    ),
    ...seedFor('/api/chat', '{"model":"alias:latest","options":{"num_ctx":9},"stream":false}'),
    ...seedFor('/api/show', '{"name":"alias","model":"alias"}'),
    ...seedFor('/v1/chat/completions', '{"model":"library\\/alias","stream":true}'),
    ...seedFor('/api/create', '{"model":"m","from":"n","remote_host":"x","name":"m"}'),
    ...seedFor('/api/copy', '{"source":"a","destination":"b"}'),
  ],
  run,
};
