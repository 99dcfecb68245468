// Multipart forms that could name two models.
import { expect, test } from 'vitest';
import { formField } from '../../src/gateway/form.ts';

const type = 'multipart/form-data; boundary=b';
const part = (head: string, value: string) => `--b\r\n${head}\r\n\r\n${value}\r\n`;
const model = (value: string) => part('Content-Disposition: form-data; name="model"', value);
const read = (body: string, contentType: string | undefined = type) =>
  formField(Buffer.from(body), contentType, 'model');

test('reads the one field, beside files and repeated others', () => {
  const file = part(
    'Content-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav',
    'RIFF\r\n--c',
  );
  expect(
    read(
      `${file}${part('content-disposition: form-data; name="x[]"', '1')}${part('Content-Disposition: form-data; name="x[]"', '2')}${model('m')}--b--\r\n`,
    ),
  ).toBe('m');
  expect(read(`${model('m')}--b--`, 'multipart/form-data; boundary="b"')).toBe('m');
});

test.each([
  ['twice', `${model('a')}${model('b')}--b--`],
  ['in another case', `${model('a')}${part('Content-Disposition: form-data; name="Model"', 'b')}--b--`],
  ['as a file', `${part('Content-Disposition: form-data; name="model"; filename="x"', 'a')}--b--`],
  ['with an RFC 2231 name', `${part("Content-Disposition: form-data; name*=utf-8''model", 'a')}--b--`],
  ['unquoted', `${part('Content-Disposition: form-data; name=model', 'a')}--b--`],
  ['with an escape in the name', `${part('Content-Disposition: form-data; name="mo\\del"', 'a')}--b--`],
  [
    'under two dispositions',
    `${part('Content-Disposition: form-data; name="x"\r\nContent-Disposition: form-data; name="model"', 'a')}--b--`,
  ],
  ['under a folded header', `${part('Content-Disposition: form-data;\r\n name="model"', 'a')}--b--`],
  ['behind a preamble', `x\r\n${model('a')}--b--`],
  ['without an end', model('a')],
  ['not at all', `${part('Content-Disposition: form-data; name="x"', 'a')}--b--`],
  ['empty', `${model('')}--b--`],
])('refuses a model that stands %s', (_, body) => {
  expect(() => read(body)).toThrow();
});

test.each([
  undefined,
  'application/json',
  'multipart/form-data',
  'multipart/form-data; boundary=',
  'multipart/form-data; boundary=b; boundary=c',
  'multipart/mixed; boundary=b',
  `multipart/form-data; boundary=${'b'.repeat(71)}`,
])('refuses the type %j', (contentType) => {
  expect(() => formField(Buffer.from(`${model('a')}--b--`), contentType, 'model')).toThrow(/multipart/);
});
