// Suspensions with their evidence, appeal and answer, and the operator's actions.
import { Badge, Button, Checkbox, Code, Group, Paper, Stack, Text, Textarea } from '@mantine/core';
import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, useAct } from '../api.ts';
import type { SuspensionRow } from '../api-types.ts';
import { useSession } from '../session.tsx';
import { useAsk } from '../shell/ask.tsx';
import { useCause } from '../shell/cause.ts';
import { AccountName, Named } from '../shell/named.tsx';
import { useWriting } from '../shell/when.ts';

export function Steps({
  steps,
  whose = false,
}: {
  readonly steps: readonly SuspensionRow[];
  readonly whose?: boolean;
}): ReactNode {
  return (
    <Stack gap="sm">
      {steps.map((step) => (
        <One key={step.id} step={step} whose={whose} />
      ))}
    </Stack>
  );
}

const refresh = ['/suspensions', '/accounts', '/overview'];

function One({ step, whose }: { readonly step: SuspensionRow; readonly whose: boolean }): ReactNode {
  const { t } = useTranslation('operator');
  const { moment } = useWriting();
  const inWords = useCause();
  const { operates } = useSession();
  const ask = useAsk();
  const { id, endsAt, liftedAt, shadow, rule } = step;
  const over = endsAt !== null && new Date(endsAt) <= new Date();
  const inForce = liftedAt === null && !over && !shadow;
  const lift = useAct(() => api.post(`/suspensions/${id}/lift`), { done: t('suspensions.liftedNow'), refresh });
  const state = shadow ? 'shadow' : inForce ? 'inForce' : liftedAt !== null ? 'lifted' : 'over';
  return (
    <Paper withBorder p="md">
      <Stack gap={6}>
        <Group justify="space-between" gap="xs">
          <Group gap="xs">
            <Badge color={inForce ? (step.step === 'warn' ? 'yellow' : 'red') : 'gray'} variant="light">
              {t(`suspensions.steps.${step.step}`)}
            </Badge>
            <Text size="sm">{t(`suspensions.${state}`)}</Text>
            <Text size="sm" c="dimmed">
              {rule === null ? t('suspensions.byHand') : t('suspensions.byRule', { rule })}
            </Text>
          </Group>
          <Text size="sm" c="dimmed">
            {moment(step.createdAt)}
            {endsAt !== null && ` → ${moment(endsAt)}`}
          </Text>
        </Group>
        <Text style={{ overflowWrap: 'anywhere' }}>{inWords(step.reason)}</Text>
        {whose && (
          <Group gap="xs">
            <AccountName id={step.account} name={step.accountName} />
            <Text size="sm" c="dimmed" component="div">
              {step.key === null ? (
                t('suspensions.wholeAccount')
              ) : (
                <Named id={step.key} name={step.keyName ?? step.key} />
              )}
            </Text>
          </Group>
        )}
        {step.evidence !== null && (
          <Code block fz="xs" tabIndex={0} aria-label={t('suspensions.evidence')}>
            {Object.entries(step.evidence)
              .map(([name, value]) => `${name}: ${typeof value === 'string' ? value : JSON.stringify(value)}`)
              .join('\n')}
          </Code>
        )}
        {step.appeal !== null && <Text size="sm">{t('suspensions.appeal', { text: step.appeal })}</Text>}
        {step.answer !== null && <Text size="sm">{t('suspensions.answer', { text: step.answer })}</Text>}
        {operates && step.appeal !== null && step.answer === null && <Answer step={step} />}
        {operates && inForce && (
          <Button
            size="compact-sm"
            variant="default"
            w="fit-content"
            loading={lift.isPending}
            onClick={() =>
              void ask({
                title: t('suspensions.liftTitle'),
                text: t('suspensions.liftText'),
                act: t('suspensions.lift'),
                harmless: true,
              }).then((yes) => {
                if (yes) lift.mutate(undefined);
              })
            }
          >
            {t('suspensions.lift')}
          </Button>
        )}
      </Stack>
    </Paper>
  );
}

function Answer({ step }: { readonly step: SuspensionRow }): ReactNode {
  const { t } = useTranslation('operator');
  const [text, setText] = useState('');
  const [lift, setLift] = useState(true);
  const answer = useAct(() => api.post(`/suspensions/${step.id}/answer`, { text, lift }), {
    done: t('suspensions.answered'),
    refresh,
  });
  return (
    <Stack gap="xs">
      <Textarea
        label={t('suspensions.answerText')}
        value={text}
        onChange={(event) => setText(event.currentTarget.value)}
        maxLength={2000}
        autosize
      />
      <Checkbox
        label={t('suspensions.answerLift')}
        checked={lift}
        onChange={(event) => setLift(event.currentTarget.checked)}
      />
      <Button
        w="fit-content"
        disabled={text.trim() === ''}
        loading={answer.isPending}
        onClick={() => answer.mutate(undefined)}
      >
        {t('suspensions.answerSend')}
      </Button>
    </Stack>
  );
}
