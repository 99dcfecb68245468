// Figures in the documents are those of the code: each stands in a sentence here beside the line that sets it, so neither changes alone.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '../..');
const read = (name: string): string => readFileSync(join(root, name), 'utf8').replaceAll(/\s+/g, ' ');

/** A part of a sentence, the file that sets its figure, and the line there. */
type Figure = readonly [said: string, file: string, set: string];

const figures: Readonly<Record<string, readonly Figure[]>> = {
  'README.md': [
    ['open this one-time link within a day', 'src/domain/person.ts', 'setup: 24 * hourMs'],
    ['for up to a year', 'src/domain/latency.ts', "year: { ms: 365 * dayMs, step: 'fourDays' }"],
  ],
  'docs/plans.md': [
    ['at most 200 patterns', 'src/domain/model-name.ts', 'mostPatterns = 200;'],
    ['patterns of 200 characters', 'src/domain/model-name.ts', 'longestPattern = 200;'],
    ['at most 200 address blocks', 'src/domain/address.ts', 'mostBlocks = 200;'],
    ['last 32 answers', 'src/gateway/limits/recent-answers.ts', 'remembered = 32;'],
    ['5 completion and', 'src/gateway/meter/token-counts.ts', 'completionTokensPerMs = 5;'],
    ['10 prompt tokens per millisecond', 'src/gateway/meter/token-counts.ts', 'promptTokensPerMs = 10;'],
    ['plus 4,096 and', 'src/gateway/meter/token-counts.ts', 'hiddenCompletionTokens = 4_096;'],
    ['and 262,144)', 'src/gateway/meter/token-counts.ts', 'hiddenPromptTokens = 262_144;'],
    ['one token in 512 bytes of a recording', 'src/gateway/intent.ts', 'Math.ceil(bytes / 512)'],
    ['More than 1,024 answers', 'src/gateway/answer-length.ts', 'mostChoices = 1024;'],
    ['powers of two from 4,096', 'src/gateway/context-size.ts', 'leastStep = 4096;'],
    ['are lowered to 2,048', 'src/upstream/kinds/ollama/ollama.ts', "['width', 2048], ['height', 2048],"],
    ['`steps` to 100', 'src/upstream/kinds/ollama/ollama.ts', "['steps', 100],"],
    ['costs at least 50 tokens', 'src/gateway/record.ts', 'leastTurnTokens = 50;'],
  ],
  'docs/ladder.md': [
    ['a quarter of the minute limits and of the queue weight', 'src/domain/suspension.ts', 'slowFactor = 0.25;'],
    ['from a minute to 31 days', 'src/domain/rule.ts', 'whole(name, value, minute, 31 * day)'],
    ['moves in thirtieths', 'src/gateway/limits/rolling-count.ts', 'slices = 30;'],
    ['every two seconds', 'src/gateway/limits/ladder.ts', 'askAgainMs = 2_000;'],
  ],
  'docs/model-names.md': [
    ['at most 200 characters', 'src/domain/stored-name.ts', 'longestName = 200;'],
    ['Up to ten models', 'src/domain/stored-name.ts', 'mostFallbacks = 10;'],
    ['at most 1,000 names', 'src/domain/stored-name.ts', 'mostNames = 1_000;'],
  ],
  'docs/errors.md': [
    ['up to 64 KiB', 'src/gateway/answer/model-error.ts', 'mostErrorBytes = 64 * 1024;'],
    ['or else five seconds', 'src/gateway/answer/answer.ts', "soon = '5';"],
  ],
  'docs/configuration.md': [
    ['The last 500 changes are kept', 'src/domain/setting-change.ts', 'keptSettingChanges = 500;'],
  ],
  'docs/operating.md': [
    ['at most 500 characters', 'src/domain/announcement.ts', 'characters: 500'],
    ['at most 2,000 bytes', 'src/domain/announcement.ts', 'headerBytes: 2_000'],
    ['one call in fifty', 'src/management/status-page/status-page.ts', 'bad * 50 >= all'],
    ['failed half of them', 'src/management/status-page/status-page.ts', 'bad * 2 >= all'],
    ['up to 50 models', 'src/management/status-page/status-page.ts', 'mostModels = 50;'],
    ['at most every 30 seconds', 'src/management/status-page/status-page.ts', 'keptMs = 30_000;'],
    ['each half day of the last 30 days', 'src/domain/latency.ts', "month: { ms: 30 * dayMs, step: 'halfDay' }"],
    ['by the minute for six hours', 'src/domain/latency.ts', 'minute: dayMs / 4,'],
    ['(at least 14 days)', 'src/domain/latency.ts', 'quarterHour: 14 * dayMs,'],
    ['by two hours for 60 days', 'src/domain/latency.ts', 'twoHours: 60 * dayMs,'],
    ['by half a day for 400 days', 'src/domain/latency.ts', 'halfDay: 400 * dayMs,'],
  ],
  'docs/portal.md': [
    ['a sign-in within the last ten minutes', 'src/management/sign-in/sessions.ts', 'freshMs = 10 * 60_000;'],
    ['up to 64 KiB', 'src/domain/logo.ts', 'mostLogoBytes = 64 * 1024;'],
    ['ends after 30 minutes', 'src/domain/view.ts', 'viewMs = 30 * 60_000;'],
    ['at least 8 characters', 'src/management/sign-in/passwords.ts', 'least: 8'],
    ['ten backup codes', 'src/management/sign-in/library.ts', 'amount: 10'],
    ['a person can have twenty', 'src/management/sign-in/passkeys.ts', 'mostPasskeys = 20;'],
    ['after a day without use', 'src/management/sign-in/library.ts', 'idleSeconds = 24 * 3600;'],
    ['after a week in any case', 'src/management/sign-in/sessions.ts', 'longestMs = 7 * 24 * 3600 * 1000;'],
    ['known to five minutes', 'src/management/sign-in/library.ts', 'renewSeconds = 300;'],
    ['have 256 KiB', 'src/management/sign-in/provider.ts', 'mostBytes = 256 * 1024;'],
    ['ten emails that confirm an address', 'src/management/mail/smtp.ts', 'confirm: 10'],
    ['ten with a link to a new password', 'src/management/mail/smtp.ts', 'reset: 10'],
    ['at most three of these valid', 'src/management/people/people.ts', 'mostResetLinks = 3;'],
    ['thirty others', 'src/management/mail/smtp.ts', 'own: 30'],
    ['up to a day after the change', 'src/management/mail/outbox.ts', 'newsMs = 24 * 3_600_000;'],
    ['end after two days', 'src/domain/person.ts', 'confirm: 48 * hourMs'],
    ['20 from a network', 'src/management/applications/apply.ts', 'fromSource: 20'],
    ['3 of these for one mailbox', 'src/management/applications/apply.ts', 'fromSourceForMailbox: 3'],
    ['5,000 in total', 'src/management/applications/apply.ts', 'unconfirmed: 5_000'],
    ['at most 20 rows a minute', 'src/management/audit/refused-attempts.ts', 'all: 20'],
    ['five for one network', 'src/management/audit/refused-attempts.ts', 'network: 5'],
    ['the newest 50,000 are kept', 'src/domain/audit.ts', 'keptRefusals = 50_000;'],
    ['up to 100 at a time', 'src/management/bulk/schemas.ts', 'mostAtOnce = 100;'],
    ['its result for seven days', 'src/jobs/session-cleanup.ts', 'pullsKeptMs = 7 * 86_400_000;'],
    ['can be undone for ten minutes', 'src/domain/outbox.ts', 'reconsiderMs = 10 * 60_000;'],
  ],
  'docs/management-api.md': [
    ['(at most 200)', 'src/management/http/fields.ts', 'limit: z.coerce.number().int().min(1).max(200)'],
    ['one address gets 128 MB a minute', 'src/management/http/pace.ts', 'sharedBytesPerMinute = 128 * 1024 * 1024;'],
    ['valid for a day', 'src/store/relational/creations.ts', 'keptMs = 24 * 3_600_000;'],
    ['reading 20,000 events', 'src/management/audit/audit-log.ts', 'look = 20_000;'],
    ['each 1.41 times as wide', 'src/domain/latency.ts', 'first * 2 ** (at / 2)'],
    ['at most 16 run at a time', 'src/jobs/model-pulls.ts', 'mostRunning = 16;'],
    ['listed for seven days', 'src/jobs/session-cleanup.ts', 'pullsKeptMs = 7 * 86_400_000;'],
    ['for up to 100 ids', 'src/management/bulk/schemas.ts', 'mostAtOnce = 100;'],
    ['Up to 50 can be looked up by id', 'src/management/find/endpoints.ts', 'at most 50, with commas between them'],
    ['at most 200 characters (600 bytes)', 'src/domain/label.ts', 'characters: 200, bytes: 600'],
    ['within the last ten minutes', 'src/management/sign-in/sessions.ts', 'freshMs = 10 * 60_000;'],
  ],
  'docs/tls.md': [
    ['at two thirds of its life', 'src/tls/local-authority.ts', '(to - from) * (2 / 3)'],
    [
      'after 1, 5 and 30 minutes, then 2 and 6 hours',
      'src/tls/acme.ts',
      '[minute, 5 * minute, 30 * minute, 2 * hour, 6 * hour]',
    ],
    ['longer than ten minutes', 'src/tls/acme.ts', 'defaultOrderMs = 10 * minute;'],
    ['valid for ten years', 'src/tls/local-authority.ts', 'authorityDays = 3650;'],
    ['A handshake may take ten seconds', 'src/tls/certificate-manager.ts', 'handshakeMs = 10_000;'],
    ['for two years (HSTS)', 'src/management/management-routes.ts', 'twoYearsSeconds = 63_072_000;'],
    ['at most fourteen days left', 'src/management/overview/encryption.ts', 'soonDays = 14;'],
  ],
};

const rows = Object.entries(figures).flatMap(([page, found]) => found.map((figure) => [page, ...figure] as const));

test.each(rows)('%s says “%s”, and %s has “%s”', (page, said, file, set) => {
  expect(read(page)).toContain(said);
  expect(read(file)).toContain(set);
});
