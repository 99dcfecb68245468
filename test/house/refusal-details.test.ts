// What a refusal says beyond its code is said again in both languages from what the ledger keeps of it, with its figures.
import { expect, test } from 'vitest';
import { windows } from '../../src/domain/calendar.ts';
import { detailOf, GatewayError } from '../../src/domain/error.ts';
import { measures, subjects } from '../../src/domain/limit.ts';
import { fillHoles } from '../../src/domain/plural.ts';
import { type DetailName, detailIn, details } from '../../src/domain/refusal-details.ts';
import { detailsInJapanese, wordsInJapanese } from '../../src/domain/refusal-details-japanese.ts';

const holesOf = (text: string): string[] => Array.from(text.matchAll(/\{(\w+)\}/g), ([, name = '']) => name).toSorted();
const samples: Readonly<Record<string, string>> = {
  who: 'This API key',
  whose: 'this key',
  source: 'limit of this API key',
  subject: 'API key',
  what: 'completion tokens',
  each: 'a month',
  window: 'month',
  wait: '36 s',
  most: '10,000',
  used: '7,024',
  need: '21,024',
  running: '12',
  count: '7',
  parts: 'embedding inputs',
  field: 'response_format',
  items: '10000',
  units: '200000',
  service: 'search',
  tool: 'web_search',
  scope: 'models:pull',
  whom: 'ops@example.org',
  moment: '2026-11-27T00:00:00Z',
  reason: '50 refused calls within 10 min; the threshold of the rule tries is 20.',
  id: 'sus_0TvcqqlEciUX',
};
const moment = (iso: string): string => `<${iso}>`;
const sent = (name: DetailName): string => fillHoles(details[name], (hole) => samples[hole] ?? '?');

test('every sentence is found again, with its figures, and told in Japanese', () => {
  for (const name of Object.keys(details) as DetailName[]) {
    expect(holesOf(detailsInJapanese[name]), name).toEqual(holesOf(details[name]));
    expect(
      detailIn('en', sent(name), (iso) => iso),
      name,
    ).toBe(sent(name));
    const said = detailIn('ja', sent(name), moment) ?? '';
    expect(said, name).toMatch(/[ぁ-ん]/);
    // What stays is a name, a figure, a code of a program or an address.
    expect(said.replaceAll(/<[^>]*>|sus_\w+|ops@example\.org|tries/g, ''), name).not.toMatch(
      /\b(?:the|this|of|within|a) /i,
    );
    for (const hole of holesOf(details[name]).filter((one) => /^(?:most|used|need|running|count|id|whom)$/.test(one)))
      expect(said, name).toContain(samples[hole]);
  }
  expect(detailIn('ja', sent('window_short'), moment)).toBe(
    'このAPIキーの出力トークン数の上限は、1か月あたり10,000です。すでに7,024使われていて、このリクエストには約21,024必要です。次の月が始まるまで36秒です。',
  );
  expect(detailIn('ja', sent('suspended_until'), moment)).toBe(
    'このAPIキーは<2026-11-27T00:00:00Z>まで停止されています。理由：10分以内の拒否の回数が50に達しました。ルール「tries」のしきい値は20です。異議はsus_0TvcqqlEciUXを添えてops@example.orgに申し立ててください。',
  );
  expect(detailIn('ja', 'A sentence of another version.', moment)).toBeUndefined();
});

test('every subject, measure and window has its Japanese', () => {
  const words = [
    ...Object.values(subjects).flatMap((subject) => [subject.this, subject.whose, subject.source]),
    ...Object.values(measures).map((measure) => measure.words),
    ...Object.values(windows).map((window) => window.each),
    ...Object.keys(windows),
  ];
  for (const word of words) expect(Object.hasOwn(wordsInJapanese, word), word).toBe(true);
});

test('the longest reason of a suspension is kept whole', () => {
  const message = sent('suspended_until').replace(samples['reason'] ?? '', 'x'.repeat(500)) as never;
  expect(detailOf(new GatewayError('suspended', { message }))).toBe(message);
});
