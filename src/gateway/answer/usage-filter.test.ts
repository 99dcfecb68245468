import { describe, expect, test } from 'vitest';
import { heldEventBytes, UsageFilter } from './usage-filter.ts';

describe('removes exactly what requesting usage added', () => {
  const asked =
    'data: {"choices":[{"text":"a \\"usage\\""}],"usage":{"prompt_tokens":0}}\n\ndata: {"usage":null,"choices":[{"text":"b"}]}\n\ndata: {"id":1, "usage" : null}\n\ndata: {"choices":[],"usage":{"prompt_tokens":6}}\n\ndata: [DONE]\n\n';
  const plain =
    'data: {"choices":[{"text":"a \\"usage\\""}]}\n\ndata: {"choices":[{"text":"b"}]}\n\ndata: {"id":1}\n\ndata: [DONE]\n\n';
  test('wherever the bytes are cut', () => {
    const bytes = Buffer.from(asked);
    for (let cut = 0; cut <= bytes.length; cut++) {
      const filter = new UsageFilter();
      const out = Buffer.concat([filter.push(bytes.subarray(0, cut)), filter.push(bytes.subarray(cut)), filter.end()]);
      expect(out.toString()).toBe(plain);
    }
  });
  test.each(['\r\n', '\r'])('with lines that end with %j too', (end) => {
    const [crlfAsked, crlfPlain] = [asked, plain].map((text) => text.replaceAll('\n', end));
    const bytes = Buffer.from(crlfAsked!);
    for (let cut = 0; cut <= bytes.length; cut++) {
      const filter = new UsageFilter();
      const early = filter.push(bytes.subarray(0, cut));
      const out = Buffer.concat([early, filter.push(bytes.subarray(cut)), filter.end()]);
      expect(out.toString()).toBe(crlfPlain);
      // Whole events do not wait for the end of the stream.
      if (cut === bytes.length) expect(early.toString()).toBe(crlfPlain);
    }
  });
  test.each([
    ['{"usage":null\t,"a":1}', '{"a":1}'],
    ['{"a":1\t ,"usage" :\t{},"b":2}', '{"a":1\t ,"b":2}'],
    ['{\t"usage":{}\t}', '{}'],
  ])('with any JSON white space around it: %j', (json, left) => {
    const filter = new UsageFilter();
    const out = Buffer.concat([filter.push(Buffer.from(`data: ${json}\n\n`)), filter.end()]).toString();
    expect(JSON.parse(out.slice(6))).toEqual(JSON.parse(left));
  });
  test('a stream without usage passes unchanged', () => {
    const filter = new UsageFilter();
    expect(Buffer.concat([filter.push(Buffer.from(plain)), filter.end()]).toString()).toBe(plain);
  });
  test('with other fields around the data, data on several lines, and a byte order mark', () => {
    const usage = '{"choices":[],"usage":{"prompt_tokens":6}}';
    const events: [string, string][] = [
      [`\ufeffevent: message\ndata: ${usage}\n\n`, ''],
      [`id: 1\ndata: ${usage}\nretry: 3\n\n`, ''],
      [`: note\nid: 1\ndata:${usage}\n\n`, ''],
      ['id: 2\ndata: {"choices":[],\ndata: "usage":{"prompt_tokens":6}}\n\n', ''],
      ['event: x\ndata: {"choices":[{}],"usage":null}\nid: 3\n\n', 'event: x\ndata: {"choices":[{}]}\nid: 3\n\n'],
      ['data: {"usage":null,\nid: 4\ndata: "choices":[{}]}\n\n', 'data: {\nid: 4\ndata: "choices":[{}]}\n\n'],
      ['id: 5\ndata: [DONE]\n\n', 'id: 5\ndata: [DONE]\n\n'],
    ];
    for (const end of ['\n', '\r\n', '\r']) {
      const said = Buffer.from(
        events
          .map(([text]) => text)
          .join('')
          .replaceAll('\n', end),
      );
      const wanted = events
        .map(([, text]) => text)
        .join('')
        .replaceAll('\n', end);
      for (let cut = 0; cut <= said.length; cut++) {
        const filter = new UsageFilter();
        const out = Buffer.concat([filter.push(said.subarray(0, cut)), filter.push(said.subarray(cut)), filter.end()]);
        expect(out.toString()).toBe(wanted);
      }
    }
  });
  test('a complete event is passed on at once, whatever ends its lines', () => {
    for (const end of ['\n', '\r\n', '\r'])
      for (const event of ['data: {"choices":[{}]}', 'id: 1\ndata: {"choices":[{}],"usage":null}'])
        expect(new UsageFilter().push(Buffer.from(`${event}\n\n`.replaceAll('\n', end))).length).toBeGreaterThan(20);
  });
  test('an event of 64 MiB passes without being held, and the usage after it is removed', () => {
    const filter = new UsageFilter();
    const mib = Buffer.alloc(1024 * 1024, 'x');
    let passed = filter.push(Buffer.from('data: {"choices":[{"delta":{"content":"')).length;
    for (let i = 0; i < 64; i++) passed += filter.push(mib).length;
    expect(passed).toBe(39 + 64 * mib.length);
    const rest = filter.push(Buffer.from(`"}}]}\n\n${asked}`)).toString() + filter.end().toString();
    expect(rest).toBe(`"}}]}\n\n${plain}`);
  });
});

describe('removes usage from an event that is too long to hold', () => {
  const long = JSON.stringify({ content: `a "usage": b \\\\ ${'x'.repeat(heldEventBytes)}` });
  const events: [string, string][] = [
    [`data: {"choices":[${long}],"usage":null}\n\n`, `data: {"choices":[${long}]}\n\n`],
    [`data: {"usage":{"a":[1,{"b":"}"}]},"choices":[${long}]}\n\n`, `data: {"choices":[${long}]}\n\n`],
    [`data:{"usage" : null,"choices":[${long}] }\n\n`, `data:{"choices":[${long}] }\n\n`],
    [`data: {"a":${long}, "usage":null,"b":{"usage":null}}\n\n`, `data: {"a":${long},"b":{"usage":null}}\n\n`],
    [`data: {"usages":1,"a":${long}}\n\n`, `data: {"usages":1,"a":${long}}\n\n`],
    [
      `id: 1\ndata: {"a":${long}\ndata: ,\ndata: "usage":null}\nid: 2\n\n`,
      `id: 1\ndata: {"a":${long}\ndata: \ndata: }\nid: 2\n\n`,
    ],
    [
      `: "usage", {"usage":1}\ndata: {"${'k'.repeat(400)}":${long}}\n\n`,
      `: "usage", {"usage":1}\ndata: {"${'k'.repeat(400)}":${long}}\n\n`,
    ],
  ];
  test.each([61, 4096, 65_536, 1e9])('in pieces of %d bytes', (size) => {
    const said = Buffer.from(`${events.map(([text]) => text).join('')}data: [DONE]\n\n`);
    const filter = new UsageFilter();
    const out: Buffer[] = [];
    for (let at = 0; at < said.length; at += size) out.push(filter.push(said.subarray(at, at + size)));
    out.push(filter.end());
    expect(Buffer.concat(out).toString() === `${events.map(([, text]) => text).join('')}data: [DONE]\n\n`).toBe(true);
  });
  test('and text that is not JSON passes unchanged', () => {
    for (const text of [`data: {"a":${long},`, `data: }],,"usage"${long}`, `data: {"a" "usage":${long}`]) {
      const filter = new UsageFilter();
      expect(Buffer.concat([filter.push(Buffer.from(`${text}\n\n`)), filter.end()]).length).toBeGreaterThan(
        long.length,
      );
    }
  });
});
