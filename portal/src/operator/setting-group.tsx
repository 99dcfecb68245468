// A group of settings as a form: saved as a whole, against what was seen or not at all; what was typed stays if somebody was faster.
import { Alert, Button, Group, Paper, SimpleGrid, Skeleton, Stack, Text, Title } from '@mantine/core';
import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, faultOf, Problem, useAct } from '../api.ts';
import type { SettingGroup as Shown } from '../api-types.ts';
import { useSession } from '../session.tsx';
import { useAsk } from '../shell/ask.tsx';
import { type Seen, useSeen } from '../shell/seen.ts';
import { Trouble } from '../shell/trouble.tsx';
import { useUnsaved } from '../shell/unsaved.ts';
import { sending } from '../visitor/form.tsx';
import { SettingField } from './setting-field.tsx';
import { SettingTrial } from './setting-trial.tsx';

export const groups = ['general', 'appearance', 'access', 'limits', 'mail', 'provider'] as const;
type Name = (typeof groups)[number];

export function SettingGroup({ group }: { readonly group: Name }): ReactNode {
  const { t } = useTranslation('settings');
  const seen = useSeen<Shown>(`/settings/${group}`);
  return (
    <Paper withBorder p="md" component="section" aria-label={t(`groups.${group}`)}>
      <Title order={2} size="h4" mb={4}>
        {t(`groups.${group}`)}
      </Title>
      <Text size="sm" c="dimmed" mb="sm">
        {t(`leads.${group}`)}
      </Text>
      {seen.error && <Trouble problem={seen.error} retry={() => void seen.refetch()} />}
      {seen.isPending && <Skeleton height={160} />}
      {seen.data && <Form group={group} seen={seen.data} again={() => void seen.refetch()} />}
    </Paper>
  );
}

type Typed = Readonly<Record<string, unknown>>;

function Form(props: { readonly group: Name; readonly seen: Seen<Shown>; readonly again: () => void }): ReactNode {
  const { t } = useTranslation('settings');
  const { operates, refresh } = useSession();
  const { group, seen } = props;
  const [typed, setTyped] = useState<Typed>({});
  const [stale, setStale] = useState(false);
  const asked = Object.fromEntries(Object.entries(typed).filter(([, value]) => value !== undefined));
  const isTyped = Object.keys(asked).length > 0;
  const ask = useAsk();
  useUnsaved(isTyped, () => ask({ title: t('leaveTitle'), text: t('leaveText'), act: t('leave') }));
  const save = useAct(
    async () => {
      await api.patch(`/settings/${group}`, { values: asked }, seen.etag === undefined ? {} : { etag: seen.etag });
      setTyped({});
      setStale(false);
      props.again();
      await refresh();
    },
    {
      done: t('saved'),
      refresh: ['/setting-changes', '/audit', '/connections'],
      shows: (field) => seen.body.settings.some(({ name }) => name === field),
    },
  );
  const send = (): void =>
    save.mutate(undefined, {
      onError: (error) => {
        if (!(error instanceof Problem) || error.status !== 412) return;
        setStale(true);
        props.again();
      },
    });
  const { settings, canSeal } = seen.body;
  const hasSecret = settings.some(({ kind, source }) => kind === 'secret' && source !== 'fixed');
  return (
    <form onSubmit={sending(send)}>
      <Stack>
        {stale && <Alert color="orange">{t('changedMeanwhile')}</Alert>}
        {hasSecret && !canSeal && <Alert color="gray">{t('noSeal')}</Alert>}
        <SimpleGrid cols={{ base: 1, sm: 2 }}>
          {settings.map((setting) => (
            <SettingField
              key={setting.name}
              setting={setting}
              typed={typed[setting.name]}
              onChange={(value) => setTyped((before) => ({ ...before, [setting.name]: value }))}
              readOnly={!operates}
              fault={faultOf(save.error, setting.name)}
            />
          ))}
        </SimpleGrid>
        {operates && (
          <Group>
            <Button type="submit" loading={save.isPending} disabled={!isTyped}>
              {t('save')}
            </Button>
          </Group>
        )}
        {operates && (group === 'mail' || group === 'provider') && <SettingTrial group={group} values={asked} />}
      </Stack>
    </form>
  );
}
