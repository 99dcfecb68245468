// Multipart forms that could name two models, forms that look odd but have one meaning, and what the model server receives
// of them.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { formText, type Part, readForm, writeForm } from '../../src/gateway/payload/multipart.ts';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { openGate, type TestGate } from '../gate.ts';

const type = 'multipart/form-data; boundary=b';
const part = (head: string, value: string) => `--b\r\n${head}\r\n\r\n${value}\r\n`;
const field = (name: string, value: string) => part(`Content-Disposition: form-data; name="${name}"`, value);
const model = (value: string) => field('model', value);
const sound = part('Content-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav', 'RIFF');
const read = (body: string, contentType: string | undefined = type): readonly Part[] =>
  readForm(Buffer.from(body), contentType);
const modelOf = (body: string, contentType?: string): string | undefined =>
  formText(read(body, contentType), 'model', 512);

/** The forwarded form, with the boundary as `@`. */
function written(body: string, contentType?: string): string {
  const form = writeForm(read(body, contentType));
  const boundary = form.type.slice('multipart/form-data; boundary='.length);
  return form.body.toString('utf8').replaceAll(boundary, '@');
}

describe('on a real socket', () => {
  let fake: FakeOllama;
  let gate: TestGate;
  let secret: string;
  beforeAll(async () => {
    fake = await startFakeOllama();
    gate = await openGate(fake.url);
    ({ secret } = await gate.key({ models: ['llama3'], scopes: ['inference:audio', 'inference:chat', 'metadata'] }));
  });
  afterAll(async () => {
    await gate.stop();
    await fake.close();
  });
  const send = (body: string, contentType = type): Promise<Response> =>
    fetch(`${gate.url}/v1/audio/transcriptions`, {
      method: 'POST',
      headers: { 'x-api-key': secret, 'content-type': contentType },
      body: Buffer.from(body, 'utf8'),
    });

  // Go's parser ends a header line at a bare line feed; another parser sees one line with a different name in it.
  test.each([
    ['a line feed', '\n'],
    ['a carriage return', '\r'],
    ['NUL', '\0'],
    ['a vertical tab', '\v'],
    ['a tab', '\t'],
    ['NEL', '\u0085'],
  ])('%s in a header of a part hides no second model', async (_, byte) => {
    const calls = fake.calls.length;
    const hidden = part(
      `X-A: 1${byte}Content-Disposition: form-data; name="model"\r\nContent-Disposition: form-data; name="note"`,
      'secret',
    );
    const answer = await send(`${hidden}${model('llama3')}${sound}--b--\r\n`);
    expect(answer.status).toBe(400);
    expect(((await answer.json()) as { error: { code: string } }).error.code).toBe('invalid_request');
    expect(fake.calls.length).toBe(calls);
  });

  test('a plan limits the length and number of transcriptions, by every field name for them', async () => {
    const { secret: bound } = await gate.member({ maxOutputTokens: 100, scopes: ['inference:audio'] });
    const ask = async (more: string): Promise<{ answer: Response; form: string }> => {
      const seen = fake.arrival();
      const answer = await fetch(`${gate.url}/v1/audio/transcriptions`, {
        method: 'POST',
        headers: { 'x-api-key': bound, 'content-type': type },
        body: `${model('llama3')}${sound}${more}--b--\r\n`,
      });
      return { answer, form: answer.status === 200 ? (await (await seen).body).toString() : '' };
    };
    for (const name of ['max_completion_tokens', 'max_tokens', 'max_new_tokens']) {
      for (const value of ['100000', '-1', '0', '101']) {
        const { answer, form } = await ask(field(name, value));
        expect(form).toContain(`name="${name}"\r\n\r\n100\r\n`);
        expect(answer.headers.get('x-sekisho-changed')).toBe(`${name}=100`);
      }
      expect((await ask(field(name, '7'))).form).toContain(`name="${name}"\r\n\r\n7\r\n`);
      for (const value of ['1e9', 'many', '1.5', '']) expect((await ask(field(name, value))).answer.status).toBe(400);
      expect((await ask(field(name, '7') + field(name, '9'))).answer.status).toBe(400);
    }
    expect((await ask(field('n', '4') + field('max_completion_tokens', '90'))).form).toContain('\r\n\r\n25\r\n');
    expect((await ask(field('n', '1000'))).answer.status).toBe(400);
    expect((await ask('')).answer.headers.get('x-sekisho-changed')).toBeNull();
  });

  test('of a part, only the two relevant headers reach the model server, and nothing of the framing', async () => {
    const odd = part(
      'X-Evil: name="model"\r\ncontent-disposition: form-data; filename="../x;name=model.wav"; name=file\r\nContent-Transfer-Encoding: binary\r\nContent-Length: 4',
      'RIFF',
    );
    const seen = fake.arrival();
    const answer = await send(`\r\n${odd}${model('llama3')}--b--\r\n`, `${type}; charset=UTF-8`);
    expect(answer.status).toBe(200);
    const request = await seen;
    const boundary = /^multipart\/form-data; boundary=(sekisho-[\w-]{24})$/.exec(
      request.headers['content-type'] ?? '',
    )?.[1];
    const body = (await request.body).toString('latin1');
    expect(body.replaceAll(boundary as string, '@')).toBe(
      '--@\r\nContent-Disposition: form-data; name="file"; filename="x%3Bname=model.wav"\r\nContent-Type: application/octet-stream\r\n\r\nRIFF\r\n' +
        '--@\r\nContent-Disposition: form-data; name="model"\r\n\r\nllama3\r\n--@--\r\n',
    );
    expect(request.headers['content-length']).toBe(String(body.length));
  });

  test('a body read as JSON is JSON to the model server, whatever content type the caller claims', async () => {
    const body = '{"x":"&model=secret&","model":"llama3","prompt":"x","stream":false}';
    const seen = fake.arrival();
    const answer = await fetch(`${gate.url}/api/generate`, {
      method: 'POST',
      headers: { 'x-api-key': secret, 'content-type': 'application/x-www-form-urlencoded' },
      body,
    });
    expect(answer.status).toBe(200);
    const request = await seen;
    expect([request.headers['content-type'], (await request.body).toString()]).toEqual(['application/json', body]);
  });

  test('a model name longer than any real name is refused without being repeated, in a form, in JSON and in a path', async () => {
    const long = 'a'.repeat(2_000_000);
    const answers = [
      await send(`${sound}${model(long)}--b--\r\n`),
      await fetch(`${gate.url}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'x-api-key': secret },
        body: JSON.stringify({ model: long, messages: [] }),
      }),
      await fetch(`${gate.url}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'x-api-key': secret },
        body: `{"model":"${'\\u0001'.repeat(513)}","messages":[]}`,
      }),
      await fetch(`${gate.url}/v1/models/${'a'.repeat(513)}`, { headers: { 'x-api-key': secret } }),
    ];
    for (const answer of answers) {
      const text = await answer.text();
      expect([answer.status, text.includes('model is longer than 512 bytes')]).toEqual([400, true]);
      expect(text.length).toBeLessThan(400);
    }
  });
});

test('reads the one field, beside files and repeated others', () => {
  const file = part(
    'Content-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav',
    'RIFF\r\n--c',
  );
  const list = (value: string) => part('content-disposition: form-data; name="x[]"', value);
  expect(modelOf(`${file}${list('1')}${list('2')}${model('m')}--b--\r\n`)).toBe('m');
  expect(modelOf(`${model('m')}--b--`, 'multipart/form-data; boundary="b"')).toBe('m');
});

// .NET leaves names without quotes, writes the boundary in quotes and sends a file name twice; Apache's client adds a
// charset to the whole and to each part, and a transfer encoding; others put the file name first, a line break before
// everything, or escape a quote.
test.each([
  ['unquoted', part('Content-Disposition: form-data; name=model', 'm')],
  [
    'with a charset',
    part('Content-Type: text/plain; charset=utf-8\r\nContent-Disposition: form-data; name=model', 'm'),
  ],
  [
    'as Apache writes it',
    part(
      'Content-Disposition: form-data; name="model"\r\nContent-Type: text/plain; charset=ISO-8859-1\r\nContent-Transfer-Encoding: 8bit',
      'm',
    ),
  ],
  ['after a line break', `\r\n${model('m')}`],
  ['with a length', part('Content-Disposition: form-data; name="model"\r\nContent-Length: 1', 'm')],
  ['in capitals', part('CONTENT-DISPOSITION: FORM-DATA; NAME="model"', 'm')],
])('reads a model %s', (_, body) => {
  expect(written(`${body}--b--\r\n`, 'multipart/form-data; charset=UTF-8; boundary="b"')).toBe(
    '--@\r\nContent-Disposition: form-data; name="model"\r\n\r\nm\r\n--@--\r\n',
  );
});

test.each([
  ["name=file; filename=a.wav; filename*=utf-8''%C3%A9%20a.wav", 'é a.wav'],
  ['filename="a.wav"; name="file"', 'a.wav'],
  ['name="file"; filename="a\\"b.wav"', 'a%22b.wav'],
  ['name="file"; filename="a%22b.wav"', 'a%22b.wav'],
  ['name="file"; filename="C:\\dev\\a.wav"', 'a.wav'],
  ['name="file"; filename="../../etc/a.wav"', 'a.wav'],
  ['name="file"; filename=""', 'file'],
  ['name="file"; filename=".."', 'file'],
  ['name="file"; filename="録音.wav"', '録音.wav'],
  ['name="file"; filename*=iso-8859-1\'en\'%E9.wav', 'é.wav'],
])('a file named by %j is forwarded under one plain name', (disposition, name) => {
  const file = part(`Content-Disposition: form-data; ${disposition}\r\nContent-Type: audio/webm;codecs=opus`, 'RIFF');
  expect(written(`${file}--b--`)).toBe(
    `--@\r\nContent-Disposition: form-data; name="file"; filename="${name}"\r\nContent-Type: audio/webm; codecs=opus\r\n\r\nRIFF\r\n--@--\r\n`,
  );
});

test('a text in Latin-1 is forwarded in UTF-8', () => {
  const head = 'Content-Disposition: form-data; name="prompt"\r\nContent-Type: text/plain; charset=iso-8859-1';
  const body = Buffer.from(`${part(head, 'é')}--b--`, 'latin1');
  expect(readForm(body, type).map(({ value }) => value.toString('utf8'))).toEqual(['é']);
});

test.each([
  ['twice', `${model('a')}${model('b')}--b--`],
  ['in another case', `${model('a')}${field('Model', 'b')}--b--`],
  ['as a list', `${model('a')}${field('model[]', 'b')}--b--`],
  ['as a member', `${model('a')}${field('model.name', 'b')}--b--`],
  ['as a file', `${part('Content-Disposition: form-data; name="model"; filename="x"', 'a')}--b--`],
  ['as a file without a name', `${part('Content-Disposition: form-data; name="model"; filename=""', 'a')}--b--`],
  ['with an RFC 2231 name', `${part("Content-Disposition: form-data; name*=utf-8''model", 'a')}--b--`],
  ['under two names', `${part('Content-Disposition: form-data; name="x"; name="model"', 'a')}--b--`],
  ['with an escape in the name', `${part('Content-Disposition: form-data; name="mo\\"del"', 'a')}--b--`],
  ['with a percent escape in the name', `${model('a')}${field('%6dodel', 'a')}--b--`],
  ['after a semicolon', `${model('a')}${field('x;name=model', 'b')}--b--`],
  ['with a space', `${model('a')}${field('model ', 'b')}--b--`],
  [
    'under two dispositions',
    `${part('Content-Disposition: form-data; name="x"\r\nContent-Disposition: form-data; name="model"', 'a')}--b--`,
  ],
  ['under a folded header', `${part('Content-Disposition: form-data;\r\n name="model"', 'a')}--b--`],
  ['under a line without a name', `${part('Content-Disposition: form-data; name="model"\r\nx', 'a')}--b--`],
  ['as an attachment', `${part('Content-Disposition: attachment; name="model"', 'a')}--b--`],
  ['after a preamble', `x\r\n${model('a')}--b--`],
  ['before an epilogue', `${model('a')}--b--\r\n${model('b')}--b--`],
  [
    'in base64',
    `${part('Content-Disposition: form-data; name="model"\r\nContent-Transfer-Encoding: base64', 'YQ==')}--b--`,
  ],
  [
    'in UTF-16',
    `${part('Content-Disposition: form-data; name="model"\r\nContent-Type: text/plain; charset=utf-16', 'a')}--b--`,
  ],
  ['in a charset that another field names', `${field('_charset_', 'utf-16')}${model('a')}--b--`],
  [
    'in a form of its own',
    `${part('Content-Disposition: form-data; name="x"\r\nContent-Type: multipart/mixed; boundary=c', model('b'))}${model('a')}--b--`,
  ],
  ['without an end', model('a')],
  ['nowhere', `${field('x', 'a')}--b--`],
  ['empty', `${model('')}--b--`],
])('refuses a model %s', (_, body) => {
  expect(() => {
    if (!modelOf(body)) throw new Error('there is none');
  }).toThrow();
});

test.each(['file', 'stream', 'response_format', 'prompt'])('refuses a second %s', (name) => {
  expect(() => read(`${field(name, 'a')}${field(name, 'b')}--b--`)).toThrow(/twice/);
});

test('refuses a value that contains the boundary of the forwarded form', () => {
  const { type: own } = writeForm(read(`${model('a')}--b--`));
  const boundary = own.slice('multipart/form-data; boundary='.length);
  const parts = read(`${model(`a\r\n--${boundary}\r\n`)}--b--`);
  expect(() => writeForm(parts)).toThrow(/malformed or ambiguous/);
});

test.each([
  undefined,
  'application/json',
  'multipart/form-data',
  'multipart/form-data; boundary=',
  'multipart/form-data; boundary=b; boundary=c',
  "multipart/form-data; boundary=b; boundary*=utf-8''c",
  'multipart/form-data; boundary=b\tc',
  'multipart/form-data; boundary="b\\"c"',
  'multipart/mixed; boundary=b',
  `multipart/form-data; boundary=${'b'.repeat(71)}`,
])('refuses the type %j', (contentType) => {
  expect(() => readForm(Buffer.from(`${model('a')}--b--`), contentType)).toThrow(/multipart/);
});
