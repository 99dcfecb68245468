// The rules of the ladder as sentences: enabled or not, in shadow mode or not, and what they would have done.
import { Button, Group, Paper, Skeleton, Stack, Switch, Text, Title } from '@mantine/core';
import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, useAct, useGet, usePages } from '../api.ts';
import type { PageOf, Rule, Suspension } from '../api-types.ts';
import { IconScale } from '../icons.ts';
import { useSession } from '../session.tsx';
import { useAsk } from '../shell/ask.tsx';
import { Empty } from '../shell/empty.tsx';
import { Page } from '../shell/page.tsx';
import { Trouble } from '../shell/trouble.tsx';
import { useWriting, withUnit } from '../shell/when.ts';
import { RuleForm } from './rule-form.tsx';

export default function Rules(): ReactNode {
  const { t } = useTranslation('policy');
  const { operates } = useSession();
  const rules = useGet<PageOf<Rule>>('/rules');
  const { rows: steps } = usePages<Suspension>('/suspensions', { limit: 200 });
  return (
    <Page title={t('rules.title')} help="ladder" lead={t('rules.lead')} actions={operates && <RuleForm />}>
      {rules.error && <Trouble problem={rules.error} retry={() => void rules.refetch()} />}
      {rules.isPending && <Skeleton height={160} />}
      {rules.data?.items.length === 0 && <Empty icon={<IconScale size={28} />} text={t('rules.empty')} />}
      <Stack gap="sm">
        {rules.data?.items.map((rule) => (
          <One
            key={rule.name}
            rule={rule}
            shadows={steps.filter((step) => step.shadow && step.rule === rule.name).length}
          />
        ))}
      </Stack>
    </Page>
  );
}

function useDuration(): (seconds: number) => string {
  const { i18n } = useTranslation();
  return (seconds) => {
    const [unit, size] =
      seconds % 86_400 === 0
        ? (['day', 86_400] as const)
        : seconds % 3600 === 0
          ? (['hour', 3600] as const)
          : (['minute', 60] as const);
    return withUnit(i18n.language, seconds / size, unit, 'long');
  };
}

function One({ rule, shadows }: { readonly rule: Rule; readonly shadows: number }): ReactNode {
  const { t } = useTranslation('policy');
  const { figure, list } = useWriting();
  const duration = useDuration();
  const { operates } = useSession();
  const ask = useAsk();
  const [editing, setEditing] = useState(false);
  const refresh = ['/rules', '/audit'];
  const change = useAct((fields: Partial<Rule>) => api.patch(`/rules/${rule.name}`, fields), {
    done: t('rules.saved'),
    refresh,
  });
  const remove = useAct(() => api.delete(`/rules/${rule.name}`), { done: t('rules.removed'), refresh });
  return (
    <Paper withBorder p="md">
      <Stack gap="xs">
        <Title order={2} size="h5">
          {rule.name}
        </Title>
        <Text>
          {t('rules.sentence', {
            per: t(`rules.per.${rule.per}`),
            threshold: figure(rule.threshold),
            measure: t(`rules.measured.${rule.measure}`, { count: rule.threshold }),
            window: duration(rule.windowSeconds),
            step: t(`rules.steps.${rule.step}`),
            duration:
              rule.durationSeconds === null ? '' : t('rules.duration', { time: duration(rule.durationSeconds) }),
          })}
        </Text>
        {rule.plans !== null && <Text size="sm">{t('rules.plans', { plans: list(rule.plans) })}</Text>}
        {(rule.shadow || shadows > 0) && (
          <Text size="sm" c="dimmed">
            {shadows === 0 ? t('rules.shadowNone') : t('rules.shadowResults', { count: shadows })}
          </Text>
        )}
        <Group>
          <Switch
            label={t('rules.enabled')}
            checked={rule.enabled}
            disabled={!operates}
            onChange={(event) => change.mutate({ enabled: event.currentTarget.checked })}
          />
          <Switch
            label={t('rules.shadow')}
            checked={rule.shadow}
            disabled={!operates}
            onChange={(event) => change.mutate({ shadow: event.currentTarget.checked })}
          />
          {operates && (
            <Group gap="xs" wrap="nowrap">
              <Button size="compact-sm" variant="default" onClick={() => setEditing(true)}>
                {t('rules.edit')}
              </Button>
              <Button
                size="compact-sm"
                variant="light"
                color="red"
                onClick={() =>
                  void ask({
                    title: t('rules.removeTitle', { name: rule.name }),
                    text: t('rules.removeText'),
                    act: t('rules.remove'),
                  }).then((yes) => {
                    if (yes) remove.mutate(undefined);
                  })
                }
              >
                {t('rules.remove')}
              </Button>
            </Group>
          )}
        </Group>
      </Stack>
      {editing && <RuleForm rule={rule} close={() => setEditing(false)} />}
    </Paper>
  );
}
