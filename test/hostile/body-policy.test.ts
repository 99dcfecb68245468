// A plan's rules for a body hold for the body as Ollama reads it, however it is spelled. Each case is sent as it stands;
// either nothing is forwarded, or what is forwarded is within the plan when it is read as Go reads it.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { type GoObject, goStyleParse, isObject } from '../fake-ollama/go-json.ts';
import { openGate, post, type TestGate } from '../gate.ts';

let fake: FakeOllama;
let gate: TestGate;
let secret: string;
const terms = {
  maxOutputTokens: 100,
  maxContextTokens: 1000,
  minKeepAliveSeconds: 60,
  maxKeepAliveSeconds: 600,
  reloadOptions: 'strip',
  templates: 'strip',
  debugFields: 'strip',
  maxImages: 2,
  maxEmbeddingInputs: 3,
};

beforeAll(async () => {
  fake = await startFakeOllama();
  gate = await openGate(fake.url);
});
// A key that is refused a thousand times would be suspended.
beforeEach(async () => {
  ({ secret } = await gate.member(terms));
});
afterAll(async () => {
  await gate.stop();
  await fake.close();
});

/** What the model server received, as Go fills it; undefined if the call was refused and nothing was sent. */
async function sent(path: string, text: string): Promise<GoObject | undefined> {
  const before = fake.calls.length;
  const answer = await post(`${gate.url}${path}`, secret, text);
  await answer.text();
  const heard = fake.calls.slice(before);
  if (answer.headers.get('x-sekisho-error-owner') !== 'upstream' && answer.status >= 400) {
    expect([answer.status, heard.length]).toEqual([400, 0]);
    return undefined;
  }
  expect(heard).toHaveLength(1);
  return goStyleParse((await heard[0]!.body).toString());
}

/** An option of type int: Go's decoder reads JSON numbers as floats and truncates them. */
function goInt(value: unknown): number | undefined {
  return typeof value === 'number' ? Math.trunc(value) : undefined;
}

const unitSeconds: Record<string, number> = { ns: 1e-9, us: 1e-6, µs: 1e-6, ms: 1e-3, s: 1, m: 60, h: 3600 };

/** Seconds, as Ollama's Duration reads them: below zero means forever. */
function goKeepAlive(value: unknown): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'number') return value < 0 ? Infinity : value;
  if (typeof value !== 'string') return Number.NaN;
  const text = value;
  let seconds = 0;
  for (const [, amount, unit] of text.matchAll(/([\d.]+)([a-zµ]+)/g))
    seconds += Number(amount) * (unitSeconds[unit!] ?? Number.NaN);
  return text.startsWith('-') && seconds !== 0 ? Infinity : seconds;
}

const reloads = ['num_gpu', 'num_batch', 'num_thread', 'main_gpu', 'use_mmap', 'draft_num_predict'];

/** Checks that this is within the plan. */
function checkNative(body: GoObject): void {
  const options = isObject(body['options']) ? body['options'] : {};
  const output = goInt(options['num_predict']);
  expect(output).toBeGreaterThan(0);
  expect(output).toBeLessThanOrEqual(100);
  expect(goInt(options['num_ctx']) ?? 0).toBeLessThanOrEqual(1000);
  for (const name of reloads) expect(options[name] ?? null).toBeNull();
  for (const name of ['raw', 'template', '_debug_render_only']) expect(body[name] ?? null).toBeNull();
  const seconds = goKeepAlive(body['keep_alive']);
  if (seconds !== undefined) {
    expect(seconds).toBeGreaterThanOrEqual(60);
    expect(seconds).toBeLessThanOrEqual(600);
  }
}

const figures = [
  '-1',
  '-2',
  '0',
  '-0',
  '-0.5',
  '1',
  '99',
  '100',
  '101',
  '100.5',
  '1.5e2',
  '1e5',
  '1E+5',
  '1e400',
  '-1e400',
  '9223372036854775807',
  '9223372036854775808',
  '-9223372036854775808',
  '18446744073709551616',
  '1e-400',
  'null',
  'true',
  '[]',
  '[5]',
  '{}',
  '{"a":5}',
  '"5"',
  '"-1"',
  '"1e9"',
  '""',
  '"null"',
];
const spellings: [string, (figure: string) => string][] = [
  ['plainly', (figure) => `"options":{"NAME":${figure}}`],
  ['with its key escaped', (figure) => `"options":{"\\u006eNAME_REST":${figure}}`],
  ['inside escaped options', (figure) => `"\\u006fptions":{"NAME":${figure}}`],
  ['with space all around', (figure) => `"options" \n:\t{ "NAME"\r : ${figure} }`],
  ['last among others', (figure) => `"options":{"seed":1,"stop":["}"],"NAME":${figure}}`],
  ['first among others', (figure) => `"options":{"NAME":${figure},"seed":1}`],
];

describe.each(['num_predict', 'num_ctx'])('%s', (name) => {
  test.each(spellings)('spelled %s is within the plan, whatever its value', async (_, spell) => {
    for (const figure of figures) {
      const fragment = spell(figure).replace('NAME_REST', name.slice(1)).replace('NAME', name);
      const body = await sent('/api/chat', chat(fragment));
      if (body) checkNative(body);
    }
  });
});

const chat = (fragment: string): string =>
  `{"model":"gemma3:270m","messages":[{"role":"user","content":"x"}],"stream":false${fragment === '' ? '' : ','}${fragment}}`;

describe('a call cannot get around the plan', () => {
  test.each<readonly [string, string]>([
    ['without options', ''],
    ['with options that are null', '"options":null'],
    ['with options that are an array', '"options":[{"num_predict":-1}]'],
    ['with options that are text', '"options":"{\\"num_predict\\":-1}"'],
    ['with options that are a number', '"options":7'],
    ['with empty options', '"options":{}'],
    ['with blank options', '"options":{ \n }'],
    ['with options twice', '"options":{"num_predict":5},"options":{"num_predict":-1}'],
    ['with options twice, the second escaped', '"options":{"num_predict":5},"opt\\u0069ons":{"num_predict":-1}'],
    ['with options twice, the second in capitals', '"options":{"num_predict":5},"OPTIONS":{"num_predict":-1}'],
    ['with options in capitals alone', '"Options":{"num_predict":-1}'],
    ['with a long s in options', '"option\u017f":{"num_predict":-1}'],
    ['with a long s in options, escaped', '"option\\u017f":{"num_predict":-1}'],
    ['with an option twice', '"options":{"num_predict":5,"num_predict":-1}'],
    ['with an option twice, once escaped', '"options":{"num_predict":5,"num\\u005fpredict":-1}'],
    ['with an option in capitals', '"options":{"NUM_PREDICT":-1}'],
    ['with an option in capitals as well', '"options":{"num_predict":5,"Num_Predict":-1}'],
    ['with a NUL in the name', '"options":{"num_predict\\u0000":-1}'],
    ['with options inside options', '"options":{"options":{"num_predict":-1}}'],
    ['with the options of another route', '"max_tokens":100000,"max_completion_tokens":100000'],
    ['with another prototype', '"__proto__":{"options":{"num_predict":-1}},"options":{"__proto__":{"num_predict":-1}}'],
    ['with a second value after it', '"options":{"num_predict":5}} {"options":{"num_predict":-1}'],
    ['with raw', '"raw":true'],
    ['with raw escaped', '"r\\u0061w":true'],
    ['with raw in capitals', '"RAW":true'],
    ['with raw as text', '"raw":"true"'],
    ['with a template', '"template":"{{ .Prompt }}"'],
    ['with a template escaped', '"templ\\u0061te":"{{ .Prompt }}"'],
    ['with a template as an object', '"template":{"a":1}'],
    ['with a template in capitals', '"Template":"x"'],
    ['with the rendered prompt', '"_debug_render_only":true'],
    ['with the rendered prompt, with a long s', '"_debug_render_only":false,"_debug_render_onl\\u0079":true'],
    ['with the rendered prompt as a number', '"_debug_render_only":1'],
    ...reloads.map((name) => [`with ${name}`, `"options":{"${name}":1}`] as const),
    ...reloads.map((name) => [`with ${name} as text`, `"options":{"${name}":"1","num_predict":-1}`] as const),
    [
      'with all of them at once',
      `"options":{${reloads.map((name) => `"${name}":1`).join()}},"raw":true,"template":"x"`,
    ],
  ])('%s', async (_, fragment) => {
    for (const path of ['/api/chat', '/api/generate']) {
      const body = await sent(path, chat(fragment));
      if (body) checkNative(body);
    }
  });
});

describe('keep_alive', () => {
  const durations = [
    '-1',
    '0',
    '-0',
    '5m',
    '1h',
    '-1m',
    '+0',
    '-0',
    '+5m',
    '0s',
    '-0s',
    '-0.1ns',
    '0.1ns',
    '1ns',
    '-1ns',
    '59.9s',
    '60s',
    '600s',
    '601s',
    '10m0.001s',
    '1h-',
    '1e3',
    '1e3s',
    '.5h',
    '5.h',
    '.h',
    '1h1h1h',
    '1h 5m',
    ' 5m',
    '5m ',
    '5M',
    '5d',
    '١m',
    '2562047h47m16.854775807s',
    '2562048h',
    '99999999999999999999h',
    '-99999999999999999999h',
    '0x10s',
    '1_000s',
    '1µs',
    '1μs',
    '1h\u00005m',
    'forever',
    'null',
    '',
    '1h'.repeat(10_000),
    '9'.repeat(5_000),
    `${'0'.repeat(5_000)}h`,
  ];
  const values = [
    ...durations.map((text) => JSON.stringify(text)),
    '-1',
    '0',
    '-0',
    '0.5',
    '59.999',
    '60',
    '600',
    '600.5',
    '601',
    '1e3',
    '1e400',
    '-1e400',
    '-1e-400',
    '1e-400',
    '1e11',
    '9223372036854775808',
    'null',
    'true',
    'false',
    '[]',
    '["5m"]',
    '{}',
    '{"Duration":5}',
    '"\\u0030"',
    '"\\u002d1"',
  ];
  test.each(['keep_alive', 'keep\\u005falive', 'KEEP_ALIVE', 'Keep_Alive', '\\u212aeep_alive'])(
    'written %s neither evicts a model nor pins it, whatever its value',
    async (key) => {
      for (const value of values)
        for (const path of ['/api/chat', '/api/embed']) {
          const body = await sent(
            path,
            `{"model":"gemma3:270m","messages":[],"input":"x","stream":false,"${key}":${value}}`,
          );
          const seconds = goKeepAlive(body?.['keep_alive']);
          if (seconds === undefined) continue;
          expect(seconds).toBeGreaterThanOrEqual(60);
          expect(seconds).toBeLessThanOrEqual(600);
        }
    },
  );
});

describe('the length of an answer', () => {
  const names = { '/v1/chat/completions': 'max_tokens', '/v1/completions': 'max_tokens', '/v1/messages': 'max_tokens' };
  const routes = Object.entries({ ...names, '/v1/responses': 'max_output_tokens' });
  test.each(routes)('on %s is bounded by %s', async (path, name) => {
    const fragments = [
      '',
      ...figures.map((figure) => `"${name}":${figure}`),
      ...figures.map((figure) => `"max_completion_tokens":${figure}`),
      ...figures.map((figure) => `"max_completion_tokens":5,"${name}":${figure}`),
      ...figures.map((figure) => `"${name}":${figure},"max_completion_tokens":-1,"options":{"num_predict":-1}`),
      `"${name}":5,"${name}":100000`,
      `"${name}":5,"${name.toUpperCase()}":100000`,
      `"\\u006dax_${name.slice(4)}":100000`,
      `"max_to\\u212aens":100000`,
      `"max_output_to\u212aens":100000`,
    ];
    for (const stream of [false, true])
      for (const fragment of fragments) {
        const text = `{"model":"gemma3:270m","messages":[{"role":"user","content":"x"}],"prompt":"x","input":"x","stream":${stream}`;
        const body = await sent(path, `${text}${fragment === '' ? '' : ','}${fragment}}`);
        if (!body) continue;
        expect(body[name]).toBeGreaterThan(0);
        expect(body[name]).toBeLessThanOrEqual(100);
      }
  });
});

describe('the length of an answer, by any of its names', () => {
  const lengths = [
    'max_tokens',
    'max_completion_tokens',
    'max_output_tokens',
    'max_new_tokens',
    'num_predict',
    'n_predict',
  ];
  const choices = ['n', 'n_cmpl', 'best_of', 'num_return_sequences'];
  const routes = [
    '/api/chat',
    '/api/generate',
    '/v1/chat/completions',
    '/v1/completions',
    '/v1/responses',
    '/v1/messages',
  ];
  const base =
    '"model":"gemma3:270m","messages":[{"role":"user","content":"x"}],"prompt":"x","input":"x","stream":false';

  /** Whatever name a server reads, all choices together stay within 100 tokens. */
  function check(body: GoObject): void {
    const options = isObject(body['options']) ? body['options'] : {};
    const count = Math.max(...[body, options].flatMap((place) => choices.map((name) => goInt(place[name]) ?? 1)));
    const prompts = Array.isArray(body['prompt']) ? body['prompt'].length : 1;
    for (const place of [body, options])
      for (const name of lengths) {
        const length = goInt(place[name]);
        if (length === undefined) continue;
        expect(length, name).toBeGreaterThan(0);
        expect(length * count * prompts, name).toBeLessThanOrEqual(100);
      }
  }

  test.each(routes)('is bounded on %s', async (path) => {
    const fragments = lengths.flatMap((name) => [
      ...['100000', '-1', '0', '1e400', '9223372036854775807', 'null', '4'].map((figure) => `"${name}":${figure}`),
      `"${name}":100000,"options":{"${name}":100000}`,
      `"options":{"${name}":-2}`,
      ...choices.flatMap((choice) => [`"${name}":90,"${choice}":40`, `"${name}":90,"options":{"${choice}":3}`]),
    ]);
    const counts = choices.flatMap((name) =>
      ['2', '100', '101', '0', '-1', '1.5', '1e9', '"3"', 'null'].map((figure) => `"${name}":${figure}`),
    );
    for (const fragment of [...fragments, ...counts, '"n":3,"best_of":30,"max_tokens":null']) {
      const body = await sent(path, `{${base},${fragment}}`);
      if (body) check(body);
    }
  });

  test('is shared by a list of prompts', async () => {
    const list = '"model":"gemma3:270m","stream":false,"prompt":["a","b",[1,2],"d"]';
    const body = await sent('/v1/completions', `{${list},"max_tokens":50,"n":2}`);
    expect(body?.['max_tokens']).toBe(12);
    expect(await sent('/v1/completions', `{${list},"n":26}`)).toBeUndefined();
  });

  test("keeps the caller's smaller value, under any name, and the header reports the forwarded one", async () => {
    for (const [fragment, said] of [
      ['"max_completion_tokens":4', 'max_tokens=4'],
      ['"max_completion_tokens":4,"max_tokens":null', 'max_tokens=4'],
      ['"max_tokens":null,"n_predict":7', 'max_tokens=7'],
      ['"max_tokens":null', 'max_tokens=100'],
      ['"max_tokens":9', null],
    ] as const) {
      const before = fake.calls.length;
      const answer = await post(`${gate.url}/v1/chat/completions`, secret, `{${base},${fragment}}`);
      expect(answer.headers.get('x-sekisho-changed'), fragment).toBe(said);
      const body = goStyleParse((await fake.calls[before]!.body).toString());
      expect(body['max_tokens'], fragment).toBe(Number((said ?? 'max_tokens=9').split('=')[1]));
    }
  });
});

test('the size and the steps of an image are bounded', async () => {
  const base = '"model":"gemma3:270m","prompt":"x","stream":false';
  const body = await sent('/api/generate', `{${base},"width":100000,"height":4096,"steps":5000}`);
  expect(body).toMatchObject({ width: 2048, height: 2048, steps: 100 });
  expect(await sent('/api/generate', `{${base},"width":512,"height":512,"steps":9}`)).toMatchObject({
    width: 512,
    height: 512,
    steps: 9,
  });
  expect(await sent('/api/generate', `{${base},"steps":1e400}`)).toBeUndefined();
  expect(await sent('/api/generate', `{${base},"WIDTH":9}`)).toBeUndefined();
});

describe('a field that is null', () => {
  const nullable =
    'stream stream_options options keep_alive tools tool_choice system template raw shift format images n best_of max_tokens ' +
    'max_completion_tokens max_output_tokens think suffix context truncate dimensions name remote_host width steps _debug_render_only';
  test.each([
    ['/api/chat', true],
    ['/api/generate', true],
    ['/api/embed', false],
    ['/v1/chat/completions', false],
    ['/v1/completions', false],
    ['/v1/responses', false],
    ['/v1/messages', false],
  ] as const)('counts as absent on %s', async (path, streams) => {
    const nulls = nullable.split(' ').map((name) => `"${name}":null`);
    const required = path === '/v1/messages' ? '"max_tokens":5,' : '';
    const base = '"model":"gemma3:270m","messages":[{"role":"user","content":"x"}],"prompt":"x","input":"x"';
    const fields = nulls.filter((field) => required === '' || !field.startsWith('"max_tokens"'));
    const answer = await post(`${gate.url}${path}`, secret, `{${required}${base},${fields.join()}}`);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toContain(streams ? 'x-ndjson' : 'json');
    await answer.text();
  });

  test('among the names of a model leaves the others', async () => {
    const { secret: own } = await gate.key();
    const status = async (body: string) => (await post(`${gate.url}/api/show`, own, body)).status;
    expect(await status('{"model":"gemma3:270m","name":null}')).toBe(200);
    expect(await status('{"model":null,"name":"gemma3:270m"}')).toBe(200);
    expect(await status('{"model":null,"name":null}')).toBe(400);
  });
});

describe('more images or inputs than the plan allows', () => {
  const three = '["aQ==","aQ==","aQ=="]';
  const part = '{"type":"image_url","image_url":{"url":"data:image/png;base64,aQ=="}}';
  const parts = (type: string): string =>
    `[${Array.from({ length: 3 }, () => part.replace('image_url', type)).join()}]`;
  test.each([
    ['in the images of generate', '/api/generate', `"prompt":"x","images":${three}`],
    ['under an escaped name', '/api/generate', `"prompt":"x","im\\u0061ges":${three}`],
    ['under another case', '/api/generate', `"prompt":"x","Images":${three}`],
    ['twice', '/api/generate', `"prompt":"x","images":["aQ=="],"images":${three}`],
    ['in one message', '/api/chat', `"messages":[{"role":"user","content":"x","images":${three}}]`],
    ['in one message, escaped', '/api/chat', `"messages":[{"role":"user","content":"x","im\\u0061ges":${three}}]`],
    ['in one message, in another case', '/api/chat', `"messages":[{"role":"user","content":"x","IMAGES":${three}}]`],
    ['twice in one message', '/api/chat', `"messages":[{"role":"user","images":["aQ=="],"images":["aQ==","aQ=="]}]`],
    [
      'over three messages',
      '/api/chat',
      `"messages":[${Array.from({ length: 3 }, () => '{"role":"user","images":["aQ=="]}').join()}]`,
    ],
    ['in messages under another case', '/api/chat', `"Messages":[{"role":"user","content":"x","images":${three}}]`],
    ['in parts of a message', '/v1/chat/completions', `"messages":[{"role":"user","content":${parts('image_url')}}]`],
    [
      'in parts whose type is escaped',
      '/v1/chat/completions',
      `"messages":[{"role":"user","content":${parts('im\\u0061ge_url')}}]`,
    ],
    [
      'in parts whose type stands twice',
      '/v1/chat/completions',
      `"messages":[{"role":"user","content":[{"type":"text","type":"image_url"}]}]`,
    ],
    [
      'in parts whose type has another case',
      '/v1/chat/completions',
      `"messages":[{"role":"user","content":[{"type":"text","Type":"image_url"}]}]`,
    ],
    ['in blocks of a message', '/v1/messages', `"messages":[{"role":"user","content":${parts('image')}}]`],
    ['in items of an input', '/v1/responses', `"input":[{"role":"user","content":${parts('input_image')}}]`],
    ['as inputs', '/api/embed', '"input":["a","b","c","d"]'],
    ['as inputs under an escaped name', '/api/embed', '"\\u0069nput":["a","b","c","d"]'],
    ['as inputs in another case', '/api/embed', '"Input":["a","b","c","d"]'],
    ['as inputs that occur twice', '/api/embed', '"input":["a"],"input":["a","b","c","d"]'],
    ['as nested inputs', '/api/embed', '"input":[["a"],["b"],["c"],["d"]]'],
    ['as inputs of /v1', '/v1/embeddings', '"input":["a","b","c","d"]'],
    ['as tokens of /v1', '/v1/embeddings', '"input":[1,2,3,4]'],
    ['as nested tokens of /v1', '/v1/embeddings', '"input":[[1],[2],[3],[4]]'],
  ])('%s are refused, and cost nothing', async (_, path, fragment) => {
    expect(await sent(path, `{"model":"gemma3:270m","stream":false,${fragment}}`)).toBeUndefined();
  });

  test('as many as the plan allows are forwarded', async () => {
    const images = '"messages":[{"role":"user","content":"x","images":["aQ==","aQ=="]}]';
    expect(await sent('/api/chat', `{"model":"gemma3:270m","stream":false,${images}}`)).toBeDefined();
    expect(await sent('/api/embed', '{"model":"gemma3:270m","input":["a","b","c"]}')).toBeDefined();
  });
});

test('every byte that the plan does not concern is forwarded unchanged', async () => {
  const odd =
    '{ "model" : "gemma3:270m","messages":[{"role":"user","content":"\\u3042\\ud83d\\ude00 é/\\/"}],\r\n"stream":false,' +
    '"options":{"seed":9007199254740993,"temperature":1.0e-0,"num_predict":7},"unknown":{"a":[1e400,{}]}}';
  const before = fake.calls.length;
  expect((await post(`${gate.url}/api/chat`, secret, odd)).status).toBe(200);
  expect((await fake.calls[before]!.body).toString()).toBe(odd);
});
