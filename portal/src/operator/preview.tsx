// The preview of a call: whether the gateway would allow it, with the reason, the changes and every limit.
import { Alert, Autocomplete, Button, Group, Paper, SimpleGrid, Stack, Text, Title } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, faultOf, useAct } from '../api.ts';
import type { Preview } from '../api-types.ts';
import { IconCircleCheck, IconCircleX } from '../icons.ts';
import { Limits } from '../member/limits.tsx';
import { ModelField } from '../shell/model-field.tsx';
import { type Entered, NumberField } from '../shell/number-field.tsx';
import { AccountPicker } from '../shell/picker.tsx';
import { useWriting } from '../shell/when.ts';
import { Against, sending } from '../visitor/form.tsx';
import type { Language } from '../words.ts';

const paths = [
  '/api/chat',
  '/api/generate',
  '/api/embed',
  '/api/pull',
  '/v1/chat/completions',
  '/v1/responses',
  '/v1/messages',
  '/v1/embeddings',
];

export function PlanPreview({ plan }: { readonly plan: string }): ReactNode {
  const { t } = useTranslation('policy');
  const { list } = useWriting();
  const [who, setWho] = useState('');
  const [path, setPath] = useState('/api/chat');
  const [model, setModel] = useState('gemma3:4b');
  const [prompt, setPrompt] = useState<Entered>(500);
  const [most, setMost] = useState<Entered>(null);
  const ask = useAct(() =>
    api.post<Preview>('/preview', {
      ...(who === '' ? { plan } : { account: who }),
      path,
      ...(model === '' ? {} : { model }),
      ...(prompt === null ? {} : { promptTokens: prompt }),
      ...(most === null ? {} : { maxTokens: most }),
    }),
  );
  const answer = ask.data;
  return (
    <Paper withBorder p="md">
      <Title order={2} size="h4">
        {t('plan.preview.title')}
      </Title>
      <Text size="sm" c="dimmed" mb="sm">
        {t('plan.preview.lead')}
      </Text>
      <form onSubmit={sending(() => ask.mutate(undefined))}>
        <SimpleGrid cols={{ base: 1, sm: 2, lg: 3 }}>
          <AccountPicker
            label={t('plan.preview.who')}
            placeholder={t('plan.preview.whoHint')}
            value={who}
            onChange={setWho}
          />
          <Autocomplete label={t('plan.preview.path')} data={paths} value={path} onChange={setPath} required />
          <ModelField
            label={t('plan.preview.model')}
            value={model}
            onChange={setModel}
            required={/^\/(?:api|v1)\//.test(path)}
          />
          <NumberField
            label={t('plan.preview.prompt')}
            value={prompt}
            onChange={setPrompt}
            min={0}
            error={faultOf(ask.error, 'promptTokens')}
          />
          <NumberField
            label={t('plan.preview.most')}
            value={most}
            onChange={setMost}
            min={1}
            error={faultOf(ask.error, 'maxTokens')}
          />
          <Group align="flex-end">
            <Button type="submit" loading={ask.isPending}>
              {t('plan.preview.ask')}
            </Button>
          </Group>
        </SimpleGrid>
      </form>
      <Stack mt="sm" aria-live="polite">
        <Against error={ask.error} />
        {answer && (
          <Alert
            color={answer.passes ? 'teal' : 'red'}
            icon={answer.passes ? <IconCircleCheck size={20} /> : <IconCircleX size={20} />}
            title={answer.passes ? t('plan.preview.passes') : t('plan.preview.refused', { status: answer.status })}
          >
            <Why answer={answer} />
            {answer.retryAfterSeconds !== null && (
              <Text size="sm">{t('plan.preview.retry', { seconds: answer.retryAfterSeconds })}</Text>
            )}
            {answer.changes.length > 0 && (
              <Text size="sm">
                {t('plan.preview.changes')} {list(answer.changes)}
              </Text>
            )}
          </Alert>
        )}
        {answer && answer.limits.length > 0 && <Limits limits={answer.limits} />}
      </Stack>
    </Paper>
  );
}

/** The reason, and the figures of every limit that applies to the call. */
function Why({ answer }: { readonly answer: Preview }): ReactNode {
  const { t, i18n } = useTranslation('policy');
  const { figure, list } = useWriting();
  const { code, limits } = answer;
  const words = useQuery({ queryKey: ['refusals'], queryFn: () => import('../refusals.ts'), staleTime: Infinity });
  const said = code === null ? t('plan.preview.passText') : words.data?.codeIn(code, i18n.language as Language);
  const needed = limits.filter((limit) => limit.needed > 0);
  return (
    <>
      <Text size="sm">{said ?? code}</Text>
      {answer.figures !== null && (
        <Text size="sm" fw={600}>
          {t('lists:preview.figures', { needed: figure(answer.figures.needed), most: figure(answer.figures.most) })}
        </Text>
      )}
      {needed.map((limit) => {
        const { name, per } = limit;
        const isShort = limit.needed > limit.remaining;
        const how = !isShort ? 'within' : answer.passes ? 'over' : 'short';
        return (
          <Text key={`${name} ${per}`} size="sm" {...(isShort ? { fw: 600 } : {})}>
            {t(`plan.preview.${how}`, {
              limit: list([t(`member:limit.${limit.measure}`), t(`member:limit.${limit.window}`)]),
              needed: figure(limit.needed),
              most: figure(limit.limit),
              used: figure(limit.used),
              left: figure(Math.max(0, limit.remaining)),
            })}
          </Text>
        );
      })}
    </>
  );
}
