// The JSON reader and its splice, against two other readers: JSON.parse for what a text means, and JSON as Go reads it for
// what Ollama would make of it. An accepted text means the same to all three.
import assert from 'node:assert/strict';
import { type JsonValue, type Outline, scanObject, splice, textOf } from '../../../src/gateway/payload/strict-json.ts';
import { goStyleParse } from '../../fake-ollama/go-json.ts';
import { jsonTexts } from '../fixtures.ts';
import { type Target, verdict } from '../target.ts';

const inner: Outline = { known: new Set(['num_ctx', 'stop']) };
const outline: Outline = {
  known: new Set(['model', 'name', 'stream', 'keep_alive', 'options', 'tools', 'messages']),
  inside: { options: inner },
  each: {
    tools: { known: new Set(['type', 'name']) },
    messages: { known: new Set(['role']), inside: { options: inner } },
  },
};

/** Go folds these two onto ASCII; Unicode lower-casing does so only for the second (unicode.SimpleFold). */
const goFold = (name: string): string => name.toLowerCase().replaceAll('\u017f', 's').replaceAll('\u212a', 'k');

function run(bytes: Buffer): void {
  const { value: body, code } = verdict(() => scanObject(bytes, outline));
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    assert.ok(body === undefined, 'JSON.parse refuses it');
    assert.ok(code === 'not_json' || code === 'ambiguous_json');
    return;
  }
  if (!body) return;
  const go = goStyleParse(bytes.toString('utf8'));
  check(bytes, body, outline, parsed);
  for (const name of ['model', 'name', 'keep_alive']) {
    const value: JsonValue | undefined = body.members.get(name);
    if (value?.kind === 'string')
      assert.equal(textOf(bytes, value).toWellFormed(), go[name], `Go reads another ${name}`);
    else if (value === undefined) assert.equal(go[name], undefined, `Go reads a ${name}`);
  }
  const stream = body.members.get('stream');
  if (stream?.kind === 'boolean' || stream === undefined)
    assert.equal(stream && bytes.toString('latin1', stream.start, stream.end) === 'true', go['stream']);
  checkSplice(bytes, [...body.members.values()]);
}

/**
 * Every opened object has exactly the members that JSON.parse finds, with the same values, and none that Go would fold.
 */
function check(bytes: Buffer, value: JsonValue, { known, inside, each }: Outline, parsed: unknown): void {
  const object = parsed as Record<string, unknown>;
  assert.deepEqual([...(value.members?.keys() ?? [])].toSorted(), Object.keys(object).toSorted());
  const folded = Object.keys(object).map(goFold);
  assert.equal(new Set(folded).size, folded.length, 'two spellings of one name');
  for (const [name, member] of value.members ?? []) {
    assert.ok(known.has(name) || !known.has(goFold(name)), 'another spelling of a known name');
    const found = object[name];
    assert.deepEqual(JSON.parse(bytes.toString('utf8', member.start, member.end)), found);
    assert.equal(member.kind, found === null ? 'null' : Array.isArray(found) ? 'array' : typeof found);
    assert.equal(
      JSON.parse(bytes.toString('utf8', member.keyStart, bytes.indexOf(':', endOfKey(bytes, member)))),
      name,
    );
    const opened = inside && Object.hasOwn(inside, name) ? inside[name] : undefined;
    if (opened && member.kind === 'object') check(bytes, member, opened, found);
    const element = each && Object.hasOwn(each, name) ? each[name] : undefined;
    if (!element || member.kind !== 'array') continue;
    assert.equal(member.items?.length, (found as unknown[]).length);
    for (const [at, item] of (member.items ?? []).entries())
      if (item.kind === 'object') check(bytes, item, element, (found as unknown[])[at]);
  }
}

/** The quote that closes a name: the first one without a backslash before it. */
function endOfKey(bytes: Buffer, { keyStart = 0 }: JsonValue): number {
  let at = keyStart + 1;
  while (bytes[at] !== 0x22) at += bytes[at] === 0x5c ? 2 : 1;
  return at;
}

function checkSplice(bytes: Buffer, members: readonly JsonValue[]): void {
  assert.deepEqual(splice(bytes, []), bytes);
  const edits = members.filter((_, at) => at % 2 === 0).map(({ start, end }) => ({ start, end, text: '"\u7a7a"' }));
  const spliced = splice(bytes, edits);
  let [from, at] = [0, 0];
  for (const { start, end, text } of edits) {
    assert.ok(
      spliced.subarray(at, at + start - from).equals(bytes.subarray(from, start)),
      'a byte between edits changed',
    );
    at += start - from;
    assert.equal(spliced.toString('utf8', at, at + Buffer.byteLength(text)), text);
    at += Buffer.byteLength(text);
    from = end;
  }
  assert.ok(spliced.subarray(at).equals(bytes.subarray(from)), 'a byte after the edits changed');
}

export const target: Target = {
  words: (
    '"model" "MODEL" "mod\\u0065l" "\u017ftream" "\u212aeep_alive" "options" "num_ctx" "tools" "type" "messages" "role" ' +
    '"name" :{} :[] true false null , {} [{}] "\\ud800" "\\udc00" \ufeff "__proto__" \u00a0 \u2028 \\" \\\\ 1e400 -0'
  ).split(' '),
  seeds: () => [
    ...jsonTexts,
    '{"model":"a","options":{"num_ctx":4096,"stop":["x"]},"tools":[{"type":"f","name":"g"},1],"keep_alive":"5m","stream":true}',
    '{"messages":[{"role":"user","content":"\u7a7a\\n\\ud83d\\ude00","options":{"num_ctx":1}}],"name":"b","x":-1.5e-3}',
  ],
  run,
};
