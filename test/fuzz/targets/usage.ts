// The filter that removes usage from a stream when only the gate requested it. The result does not depend on where the bytes
// are cut; it is the stream with bytes removed and none added; and a stream without usage passes unchanged.
import assert from 'node:assert/strict';
import { UsageFilter } from '../../../src/gateway/answer/usage-filter.ts';
import { cuts } from '../cuts.ts';
import { eventsOf } from '../events.ts';
import { answers } from '../fixtures.ts';
import type { Target } from '../target.ts';

function filtered(pieces: readonly Buffer[]): Buffer {
  const filter = new UsageFilter();
  return Buffer.concat([...pieces.map((piece) => filter.push(piece)), filter.end()]);
}

/** The first two bytes say where it is cut. */
function run(bytes: Buffer): void {
  const stream = bytes.subarray(2);
  const whole = filtered([stream]);
  for (const pieces of cuts(stream, bytes)) assert.ok(filtered(pieces).equals(whole), 'the result depends on the cuts');
  if (!stream.includes('"usage"')) assert.ok(whole.equals(stream), 'bytes of the answer are missing');
  let at = 0;
  for (const byte of whole) {
    at = stream.indexOf(byte, at) + 1;
    assert.ok(at > 0, 'a byte was added');
  }
  assert.deepEqual(choicesOf(whole), choicesOf(stream));
}

/** Every whole JSON event, except what the gate requested: the usage, and the event that holds nothing else. */
function choicesOf(stream: Buffer): unknown[] {
  return eventsOf(stream.toString('utf8')).flatMap((data) => {
    try {
      const value = JSON.parse(/^\{.*\}\s*$/s.test(data) ? data : 'null') as Record<string, unknown> | null;
      if (value === null) return [];
      const { usage, ...rest } = value;
      const asked = typeof usage === 'object' && usage !== null && !Array.isArray(usage);
      return asked && Array.isArray(rest['choices']) && rest['choices'].length === 0 ? [] : [JSON.stringify(rest)];
    } catch {
      return [];
    }
  });
}

export const target: Target = {
  words:
    '"usage" "usage":null, ,"usage":{} "choices":[] "choices":[{}] data: {"prompt_tokens":6} \n\n \r\n\r\n \r\r \n event: id: [DONE] {} } , :'.split(
      ' ',
    ),
  mostBytes: 1000,
  seeds: () => [
    ...answers.flatMap(({ path, body }) => (path.startsWith('/v1') ? [`01${body.slice(0, 900)}`] : [])),
    '01data: {"choices":[{"text":"a \\"usage\\""}],"usage":{"prompt_tokens":0}}\n\ndata: {"usage":null,"choices":[{"text":"b"}]}\n\n',
    '21data: {"id":1, "usage" : null}\r\n\r\ndata: {"choices":[],"usage":{"prompt_tokens":6}}\r\n\r\ndata: [DONE]\r\n\r\n',
    '21id: 1\ndata: {"choices":[],\ndata: "usage":{"prompt_tokens":6}}\n\nevent: x\rdata: {"usage":null,\rid: 3\rdata: "choices":[{}]}\r\r',
    '21data: {"usage":{},"choices":[]}\n\ndata:{"usage":1}\n\n: usage\n\ndata: {"a":{"usage":1}}',
  ],
  run,
};
