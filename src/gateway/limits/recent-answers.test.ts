import { expect, test } from 'vitest';
import { answerEstimate, RecentAnswers } from './recent-answers.ts';

test('an answer is expected to be what was asked for, otherwise the longest of the latest ones, within the plan', () => {
  const answers = new RecentAnswers();
  expect(answerEstimate(70, answers, 8_192)).toBe(70);
  expect(answerEstimate(70_000, answers, 8_192)).toBe(8_192);
  expect(answerEstimate(undefined, answers, 8_192)).toBe(8_192);
  answers.note(300);
  answers.note(2_000);
  expect(answerEstimate(undefined, answers, 8_192)).toBe(2_000);
  expect(answerEstimate(undefined, answers, 1_000)).toBe(1_000);
  for (let i = 0; i < 32; i++) answers.note(40);
  expect(answerEstimate(undefined, answers, 8_192)).toBe(40);
});
