// Multipart forms. The gate writes exactly what it read; a browser's parser finds the same fields and files in it, and the
// same model as in the caller's form, once.
import assert from 'node:assert/strict';
import {
  formBytes,
  type Part,
  readForm,
  renameForm,
  withText,
  writeForm,
} from '../../../src/gateway/payload/multipart.ts';
import { type Target, verdict } from '../target.ts';

/** The first line is the Content-Type, the rest the body. */
async function run(bytes: Buffer): Promise<void> {
  const feed = bytes.indexOf('\n');
  const contentType = bytes.toString('latin1', 0, Math.max(0, feed));
  const body = bytes.subarray(feed + 1);
  const { value: parts } = verdict(() => readForm(body, contentType));
  if (!parts) return;
  const form = writeForm(parts);
  assert.equal(form.body.length, formBytes(parts));
  const again = readForm(form.body, form.type);
  assert.equal(writeForm(again).body.compare(form.body), 0, 'the forwarded form reads differently');

  if (parts.some(({ name, filename }) => name === 'model' && filename === undefined)) {
    const named = readForm(renameForm(form.body, 'model', 'Other/Model'), form.type);
    assert.deepEqual(named, readForm(writeForm(withText(parts, 'model', 'Other/Model')).body, form.type));
  }

  const onward = await read(form.type, form.body);
  assert.ok(onward, 'another reader cannot read the forwarded form');
  assert.deepEqual(onward, parts.map(entryOf), 'another reader reads another form');

  const came = await read(contentType, body);
  // No model has such a name, and that reader knows no charset but UTF-8.
  if (!came || parts.some(({ name, value }) => name === 'model' && value.some((byte) => byte > 0x7f))) return;
  const models = (entries: readonly Entry[]): Entry[] => entries.filter(([name]) => name.toLowerCase() === 'model');
  assert.deepEqual(models(came), models(onward), 'another reader reads another model');
}

/** A field or file: its name, its file name, and its bytes as Latin-1. */
type Entry = readonly [string, string | undefined, string];

/** Undefined if that reader refuses it: the gate may be more lenient where it does no harm. */
async function read(type: string, body: Buffer): Promise<Entry[] | undefined> {
  let entries: [string, unknown][];
  try {
    const form = await new Response(Uint8Array.from(body), { headers: { 'content-type': type } }).formData();
    entries = [...form.entries()];
  } catch {
    return undefined;
  }
  return Promise.all(
    entries.map(async ([name, value]): Promise<Entry> => {
      if (typeof value === 'string') return [name, undefined, value];
      const file = value as File;
      return [name, file.name, Buffer.from(await file.arrayBuffer()).toString('latin1')];
    }),
  );
}

function entryOf({ name, filename, value }: Part): Entry {
  // That reader decodes the percent escape of a quote, as browsers write it, and removes a byte order mark from a text.
  const called = filename?.replaceAll('%22', '"').replaceAll(/%0a/gi, '\n').replaceAll(/%0d/gi, '\r');
  if (called !== undefined) return [name, called.replaceAll(';', '%3B'), value.toString('latin1')];
  return [name, undefined, new TextDecoder().decode(value)];
}

const part = (head: string, value: string): string => `--b\r\n${head}\r\n\r\n${value}\r\n`;
const model = (value: string): string => part('Content-Disposition: form-data; name="model"', value);
const type = 'multipart/form-data; boundary=b\n';

export const target: Target = {
  words: (
    '--b|--b--|\r\n|\r\n\r\n|--|\r\n--b\r\n|; name="model"|; name=model|; filename="x"|; filename*=utf-8\'\'%C3%A9|' +
    "Content-Disposition: form-data|name*=utf-8''model|Content-Type: text/plain|Content-Transfer-Encoding: base64|" +
    'Content-Transfer-Encoding: 8bit|; charset=utf-16|; charset=iso-8859-1|; charset=utf-8|%22|\\"|;boundary="b"|_charset_|"'
  ).split('|'),
  mostBytes: 800,
  seeds: () => [
    `${type}${model('m')}--b--\r\n`,
    `${type}${part('Content-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav', 'RIFF\r\n--c')}${model('m')}--b--\r\n`,
    `multipart/form-data; boundary="b"\n${part('content-disposition: form-data; name="x[]"', '1')}${model('gemma3:270m')}--b--`,
    `multipart/form-data; charset=UTF-8; boundary=b\n\r\n${part('Content-Type: text/plain; charset=iso-8859-1\r\nContent-Disposition: form-data; name=model', 'm')}--b--`,
    `${type}${part('Content-Disposition: form-data; filename="a\\"b"; filename*=UTF-8\'\'%C3%A9; name=file\r\nContent-Transfer-Encoding: 8bit', 'x')}--b--`,
    `${type}${part('Content-Disposition: form-data; name="file"; filename="C:\\a;b"\r\nContent-Type: audio/webm;codecs="a b"', 'x')}--b--`,
    `${type}${part('X-A: 1\nContent-Disposition: form-data; name="model"\r\nContent-Disposition: form-data; name="note"', 's')}${model('m')}--b--`,
    `${type}${part('Content-Disposition: form-data; name="_charset_"', 'utf-8')}${model('m')}--b--`,
    `${type}${model('a')}${model('b')}--b--`,
    `${type}${model('a')}${part('Content-Disposition: form-data; name="Model"', 'b')}--b--`,
    `${type}${part("Content-Disposition: form-data; name*=utf-8''model", 'a')}--b--`,
    `${type}${part('Content-Disposition: form-data; name="x"\r\nContent-Disposition: form-data; name="model"', 'a')}--b--`,
    `${type}${part('Content-Disposition: form-data;\r\n name="model"', 'a')}--b--`,
    `${type}x\r\n${model('a')}--b--`,
    `${type}${part('Content-Disposition: form-data; name="model"; filename="x"', 'a')}--b--`,
    `${type}${part('Content-Disposition: form-data; name="Model"', 'a')}--b--`,
  ],
  run,
};
