// Pulls of models: the gateway goes on with them by itself, so every operator sees them here, after a reload and on another machine as
// well, with what became of those that have ended.
import { Badge, Button, Group, Paper, Progress, Select, Stack, Text, Title } from '@mantine/core';
import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, useAct, useGet } from '../api.ts';
import type { PageOf, Pull, ServerModels } from '../api-types.ts';
import { useSession } from '../session.tsx';
import { useAsk } from '../shell/ask.tsx';
import { ModelField } from '../shell/model-field.tsx';
import { Quoted } from '../shell/told.tsx';
import { useUnsaved } from '../shell/unsaved.ts';
import { useWriting } from '../shell/when.ts';
import { Against, sending } from '../visitor/form.tsx';

const refresh = ['/pulls', '/models', '/audit'];

/** Newest first, those that run before the others; asked every second while one runs. */
export function usePulls(): readonly Pull[] {
  const { operates, reads } = useSession();
  const [runs, setRuns] = useState(false);
  const { data } = useGet<PageOf<Pull>>('/pulls', {}, runs ? 1_000 : 10_000, operates || reads);
  const items = data?.items ?? [];
  const isRunning = items.some(({ state }) => state === 'running');
  if (isRunning !== runs) setRuns(isRunning);
  return items;
}

export interface PullFormProps {
  readonly servers: readonly ServerModels[];
  /** Whether a pull runs. */
  readonly isRunning: boolean;
}

export function PullForm({ servers, isRunning }: PullFormProps): ReactNode {
  const { t } = useTranslation('lists');
  const [model, setModel] = useState('');
  const [where, setWhere] = useState('all');
  const [isBegun, setBegun] = useState(false);
  const ask = useAsk();
  // Asks only the person who started a pull on this page.
  useUnsaved(isBegun && isRunning, () =>
    ask({ title: t('models.leaveTitle'), text: t('models.leaveText'), act: t('models.leave') }),
  );
  const able = servers.filter(({ isManaged, isServing }) => isManaged && isServing);
  const start = useAct(() => api.post('/pulls', { model: model.trim(), servers: where === 'all' ? 'all' : [where] }), {
    refresh,
  });
  return (
    <Paper withBorder p="md">
      <Title order={2} size="h4" mb="sm">
        {t('models.pull')}
      </Title>
      <form
        onSubmit={sending(() =>
          start.mutate(undefined, {
            onSuccess: () => {
              setModel('');
              setBegun(true);
            },
          }),
        )}
      >
        <Group align="flex-end" grow preventGrowOverflow={false}>
          <ModelField
            label={t('models.name')}
            placeholder={t('models.nameHint')}
            value={model}
            onChange={setModel}
            required
          />
          {able.length > 1 && (
            <Select
              label={t('models.where')}
              data={[
                { value: 'all', label: t('models.everywhere') },
                ...able.map(({ server }) => ({ value: server, label: server })),
              ]}
              value={where}
              onChange={(value) => setWhere(value ?? 'all')}
              allowDeselect={false}
            />
          )}
          <Button type="submit" loading={start.isPending} style={{ flexGrow: 0 }}>
            {t('models.begin')}
          </Button>
        </Group>
      </form>
      <Against error={start.error} />
    </Paper>
  );
}

const colours = { running: 'blue', done: 'teal', failed: 'red', canceled: 'gray', interrupted: 'yellow' } as const;

export function PullList({ pulls }: { readonly pulls: readonly Pull[] }): ReactNode {
  const { t } = useTranslation('lists');
  if (pulls.length === 0) return null;
  return (
    <Stack gap="xs" aria-label={t('models.pulls')} role="list">
      {pulls.slice(0, 10).map((pull) => (
        <OnePull key={pull.id} pull={pull} />
      ))}
    </Stack>
  );
}

function OnePull({ pull }: { readonly pull: Pull }): ReactNode {
  const { t } = useTranslation('lists');
  const { operates } = useSession();
  const { moment } = useWriting();
  const cancel = useAct(() => api.post(`/pulls/${pull.id}/cancel`), { refresh });
  const { model, server, state, startedByName, startedAt, endedAt, error } = pull;
  return (
    <Paper withBorder p="sm" role="listitem">
      <Group justify="space-between" gap="xs" align="flex-start">
        <div style={{ minWidth: 0 }}>
          <Text ff="monospace" size="sm" fw={600}>
            {model}
          </Text>
          <Text size="xs" c="dimmed">
            {t('models.pullBy', { server, name: startedByName, time: moment(endedAt ?? startedAt) })}
          </Text>
        </div>
        <Group gap="xs">
          <Badge variant="light" color={colours[state]}>
            {t(`models.pullState.${state}`)}
          </Badge>
          {operates && state === 'running' && (
            <Button
              size="compact-xs"
              variant="light"
              color="red"
              loading={cancel.isPending}
              onClick={() => cancel.mutate(undefined)}
              aria-label={t('models.cancelWhat', { model, server })}
            >
              {t('models.cancel')}
            </Button>
          )}
        </Group>
      </Group>
      {state === 'running' && <Running pull={pull} />}
      {error !== null && <Quoted told={error} block />}
      {state === 'interrupted' && (
        <Text size="sm" mt="xs">
          {t('models.interrupted')}
        </Text>
      )}
    </Paper>
  );
}

function Running({ pull: { progress, model, server } }: { readonly pull: Pull }): ReactNode {
  const { t } = useTranslation('lists');
  const { bytes } = useWriting();
  const { status = '', completed = 0, total = 0 } = progress ?? {};
  const share = total > 0 ? (completed / total) * 100 : 0;
  const phase = t(`models.phase.${phaseOf(status)}`);
  return (
    <Stack gap={4} mt="xs">
      <Progress
        value={share > 0 ? share : 100}
        animated={share === 0}
        aria-label={t('models.pullOf', { model, server })}
      />
      <Text size="sm">
        {total > 0 ? t('models.progress', { status: phase, done: bytes(completed), total: bytes(total) }) : phase}
      </Text>
    </Stack>
  );
}

/** The phases of a pull as Ollama names them; any other is work. */
function phaseOf(status: string): 'manifest' | 'layers' | 'verify' | 'write' | 'work' {
  if (status.startsWith('pulling manifest')) return 'manifest';
  if (/^(?:pulling|downloading)/.test(status)) return 'layers';
  if (status.startsWith('verifying')) return 'verify';
  return /^(?:writing|removing|success)/.test(status) ? 'write' : 'work';
}
