// Restrictions of the account that are in force: reason, end, and appeal.
import { Alert, Button, Stack, Text, Textarea } from '@mantine/core';
import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, useAct, useGet } from '../api.ts';
import type { PageOf, Suspension } from '../api-types.ts';
import { IconGavel } from '../icons.ts';
import { useSession } from '../session.tsx';
import { useCause } from '../shell/cause.ts';
import { useWriting } from '../shell/when.ts';

export function Standing(): ReactNode {
  const steps = useGet<PageOf<Suspension>>('/me/suspensions', {}, 30_000);
  const inForce = (steps.data?.items ?? []).filter(
    ({ liftedAt, endsAt }) => liftedAt === null && (endsAt === null || new Date(endsAt) > new Date()),
  );
  return inForce.map((step) => <Step key={step.id} step={step} />);
}

function Step({ step }: { readonly step: Suspension }): ReactNode {
  const { t } = useTranslation('member');
  const { aside, moment, relative } = useWriting();
  const inWords = useCause();
  const { view } = useSession().session;
  const [text, setText] = useState('');
  const appeal = useAct(() => api.post(`/suspensions/${step.id}/appeal`, { text }), {
    done: t('standing.sent'),
    refresh: ['/me/suspensions'],
  });
  const { endsAt } = step;
  return (
    <Alert
      color={step.step === 'warn' ? 'yellow' : 'red'}
      icon={<IconGavel size={20} />}
      title={t(step.step === 'warn' ? 'standing.warned' : 'standing.title')}
    >
      <Stack gap="xs">
        <Text size="sm">{t(`standing.step.${step.step}`)}</Text>
        <Text size="sm" fw={500}>
          {inWords(step.reason)}
        </Text>
        <Text size="sm">
          {endsAt === null
            ? t('standing.endless')
            : t('standing.ends', { when: aside(moment(endsAt), relative(endsAt)) })}
        </Text>
        {step.appeal !== null && <Text size="sm">{t('standing.appealed', { text: step.appeal })}</Text>}
        {step.answer !== null && <Text size="sm">{t('standing.answered', { text: step.answer })}</Text>}
        {step.appeal === null && !view && (
          <>
            <Textarea
              label={t('standing.appealText')}
              value={text}
              onChange={(event) => setText(event.currentTarget.value)}
              maxLength={2000}
              autosize
              minRows={2}
            />
            <Button
              variant="light"
              color="red"
              w="fit-content"
              disabled={text.trim() === ''}
              loading={appeal.isPending}
              onClick={() => appeal.mutate(undefined)}
            >
              {t('standing.send')}
            </Button>
          </>
        )}
      </Stack>
    </Alert>
  );
}
