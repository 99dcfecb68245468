import { expect, test } from 'vitest';
import { ListEvents, type ToolFilter, WholeList } from './tool-list.ts';

const mayUse = (tool: string): boolean => tool === 'seen';
const tools = [{ name: 'seen' }, { name: 'hidden' }, { title: 'hidden' }, 'hidden'];
const list = JSON.stringify({ jsonrpc: '2.0', id: 1, result: { tools, nextCursor: 'x' } });
const shown = JSON.stringify({ jsonrpc: '2.0', id: 1, result: { tools: [{ name: 'seen' }], nextCursor: 'x' } });

function passed(filter: ToolFilter, text: string, step: number): string {
  const bytes = Buffer.from(text);
  let out = '';
  for (let at = 0; at < bytes.length; at += step) out += filter.add(bytes.subarray(at, at + step)).toString();
  return out + filter.end().toString();
}

const cut = list.indexOf(',"result"') + 1;
const both = `data: ${list.slice(0, cut)}\n: between\ndata: ${list.slice(cut)}\n\n`;

test.each([
  ['one event', `data: ${list}\n\n`],
  ['without a space', `data:${list}\n\n`],
  ['after a byte order mark', `\ufeffdata: ${list}\n\n`],
  ['ended by carriage returns', `data: ${list}\r\r`],
  ['ended by both', `data: ${list}\r\n\r\n`],
  ['ended by each', `data: ${list}\n\r\n`],
  ['with fields around it', `id: 1\nevent: message\ndata: ${list}\nretry: 5\n\n`],
  ['in two lines', both],
  ['in a batch', `data: [${list},${list}]\n\n`],
  ['between others', `: hello\n\ndata: ${list}\n\ndata: {"method":"x"}\n\n`],
  ['not ended', `data: ${list}`],
])('an event with a list shows what its caller may use, however it is cut: %s', (_, text) => {
  for (const step of [1, 7, text.length * 2]) {
    const seen = passed(new ListEvents(mayUse), text, step);
    expect(seen).toContain(shown);
    expect(seen).not.toContain('hidden');
  }
});

test.each(['data: \n\n', ': あ\r\n\r\ndata:  {"a": "あ"}\r\n\r\nid: 2\ndata: {"result":{"tools":3}}\n\n', ''])(
  'what is no list passes byte for byte: %j',
  (text) => {
    for (const step of [1, 5, 1_000]) expect(passed(new ListEvents(mayUse), text, step)).toBe(text);
  },
);

test('an event of megabytes in small pieces takes no longer than in large ones', () => {
  const text = `data: {"a":"${'x'.repeat(6_000_000)}"}\n\n`;
  expect(passed(new ListEvents(mayUse), text, 256)).toBe(text);
});

test('an event goes on as soon as it is complete', () => {
  const events = new ListEvents(mayUse);
  expect(events.add(Buffer.from('data: {"a":1}\n')).toString()).toBe('');
  expect(events.add(Buffer.from('\ndata: {"b"')).toString()).toBe('data: {"a":1}\n\n');
});

test('a list in JSON shows what its caller may use; what cannot be read or is too long is refused', () => {
  expect(passed(new WholeList(mayUse), list, 9)).toBe(shown);
  expect(passed(new WholeList(mayUse), '', 1)).toBe('');
  expect(() => passed(new WholeList(mayUse), '<html>', 1)).toThrow('cannot be read');
  expect(() => passed(new ListEvents(mayUse), 'data: <html>\n\n', 1)).toThrow('cannot be read');
  const long = Buffer.alloc(9 * 1024 * 1024, 'a');
  for (const filter of [new WholeList(mayUse), new ListEvents(mayUse)])
    expect(() => filter.add(long)).toThrow('cannot be read');
});
