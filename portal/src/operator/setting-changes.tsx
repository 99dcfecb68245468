// What was changed of the settings and of registration, the newest first, each with a button that takes it back.
import { Badge, Button, Group, Paper, Skeleton, Stack, Text, Title } from '@mantine/core';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { api, useAct, usePages } from '../api.ts';
import type { SettingChange } from '../api-types.ts';
import { useSession } from '../session.tsx';
import { More } from '../shell/more.tsx';
import { Trouble } from '../shell/trouble.tsx';
import { useWriting } from '../shell/when.ts';

export function SettingChanges(): ReactNode {
  const { t } = useTranslation('settings');
  const { rows, query } = usePages<SettingChange>('/setting-changes');
  return (
    <Paper withBorder p="md" component="section" aria-label={t('changes')}>
      <Title order={2} size="h4" mb="sm">
        {t('changes')}
      </Title>
      {query.error && <Trouble problem={query.error} retry={() => void query.refetch()} />}
      {query.isPending && <Skeleton height={80} />}
      {query.data !== undefined && rows.length === 0 && <Text size="sm">{t('noChanges')}</Text>}
      <Stack gap="md">
        {rows.map((change) => (
          <Row key={change.id} change={change} />
        ))}
        <More query={query} />
      </Stack>
    </Paper>
  );
}

function Row({ change }: { readonly change: SettingChange }): ReactNode {
  const { t } = useTranslation('settings');
  const { exact, list } = useWriting();
  const { operates, refresh } = useSession();
  const undo = useAct(
    async () => {
      await api.post(`/setting-changes/${change.id}/undo`);
      await refresh();
    },
    { done: t('undone'), refresh: ['/setting', '/registration', '/audit'] },
  );
  const { group, from, to, undoes, undoneBy } = change;
  return (
    <Group justify="space-between" align="start" gap="xs">
      <div style={{ flex: 1, minWidth: '14rem' }}>
        <Group gap="xs">
          <Text size="sm" fw={600}>
            {t(`groups.${group}`)}
          </Text>
          {undoes !== null && <Badge variant="light">{t('tookBack')}</Badge>}
          {undoneBy !== null && (
            <Badge variant="light" color="gray">
              {t('wasUndone')}
            </Badge>
          )}
          <Text size="sm" c="dimmed">
            {exact(change.at)}
          </Text>
          <Text size="sm" c="dimmed" title={change.actor}>
            {change.actorName ?? change.actor}
          </Text>
        </Group>
        {Object.keys(to).map((name) => (
          <Text key={name} size="sm">
            {t('fromTo', {
              name: t(`names.${name}`, { defaultValue: name }),
              from: shown(from[name], t('default'), list),
              to: shown(to[name], t('default'), list),
            })}
          </Text>
        ))}
      </div>
      {operates && undoneBy === null && (
        <Button
          variant="default"
          size="xs"
          loading={undo.isPending}
          onClick={() => undo.mutate(undefined)}
          aria-label={t('undoOf', { what: t(`groups.${group}`), when: exact(change.at) })}
        >
          {t('undo')}
        </Button>
      )}
    </Group>
  );
}

function shown(
  value: SettingChange['to'][string] | undefined,
  otherwise: string,
  list: (parts: readonly string[]) => string,
): string {
  if (value === null || value === undefined) return otherwise;
  return Array.isArray(value) ? list(value) : String(value);
}
