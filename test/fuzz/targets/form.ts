// Multipart forms. What the gate reads as the model, a browser's reader of forms finds in the same bytes, once.
import assert from 'node:assert/strict';
import { formField } from '../../../src/gateway/form.ts';
import { type Target, verdict } from '../target.ts';

/** The first line is the Content-Type, the rest the body. */
async function run(bytes: Buffer): Promise<void> {
  const feed = bytes.indexOf('\n');
  const contentType = bytes.toString('latin1', 0, Math.max(0, feed));
  const body = bytes.subarray(feed + 1);
  const { value: model } = verdict(() => formField(body, contentType, 'model'));
  if (model === undefined) return;
  assert.notEqual(model, '');
  const found = await read(contentType, body);
  if (!found) return;
  const named = found.filter(([name]) => name.toLowerCase() === 'model');
  assert.deepEqual(named, [['model', model]], 'another reader reads another model');
}

/** Undefined where that reader refuses it: the gate may be the more lenient in what does not matter. */
async function read(type: string, body: Buffer): Promise<[string, unknown][] | undefined> {
  try {
    const form = await new Response(Uint8Array.from(body), { headers: { 'content-type': type } }).formData();
    return [...form.entries()];
  } catch {
    return undefined;
  }
}

const part = (head: string, value: string): string => `--b\r\n${head}\r\n\r\n${value}\r\n`;
const model = (value: string): string => part('Content-Disposition: form-data; name="model"', value);
const type = 'multipart/form-data; boundary=b\n';

export const target: Target = {
  words: (
    '--b|--b--|\r\n|\r\n\r\n|--|\r\n--b\r\n|; name="model"|; filename="x"|Content-Disposition: form-data|name*=utf-8\'\'model|' +
    'Content-Type: text/plain|Content-Transfer-Encoding: base64|charset=utf-16|%22|\\"|;boundary="b"|_charset_|"'
  ).split('|'),
  mostBytes: 800,
  seeds: () => [
    `${type}${model('m')}--b--\r\n`,
    `${type}${part('Content-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav', 'RIFF\r\n--c')}${model('m')}--b--\r\n`,
    `multipart/form-data; boundary="b"\n${part('content-disposition: form-data; name="x[]"', '1')}${model('gemma3:270m')}--b--`,
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
