// Tries out the settings of mail or of the provider, as they are typed, before they are saved.
import { Alert, Button, Group, Stack, Text, TextInput } from '@mantine/core';
import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, useAct } from '../api.ts';
import type { SettingTrial as Result } from '../api-types.ts';
import { useSession } from '../session.tsx';
import { Quoted } from '../shell/told.tsx';

interface Props {
  readonly group: 'mail' | 'provider';
  readonly values: Readonly<Record<string, unknown>>;
}

export function SettingTrial({ group, values }: Props): ReactNode {
  const { t } = useTranslation('settings');
  const { session } = useSession();
  const [to, setTo] = useState(session.person?.email ?? '');
  const [result, setResult] = useState<Result>();
  const trial = useAct(
    async () => {
      setResult(undefined);
      setResult(await api.post<Result>(`/settings/${group}/trial`, { values, ...(group === 'mail' ? { to } : {}) }));
    },
    { refresh: ['/connections'] },
  );
  return (
    <Stack gap="xs">
      <Group align="end">
        {group === 'mail' && (
          <TextInput
            label={t('trialTo')}
            type="email"
            value={to}
            onChange={(event) => setTo(event.currentTarget.value)}
          />
        )}
        <Button variant="default" loading={trial.isPending} onClick={() => trial.mutate(undefined)}>
          {t(group === 'mail' ? 'trialMail' : 'trialProvider')}
        </Button>
      </Group>
      {result && (
        <Alert color={result.works ? 'teal' : 'red'} role={result.works ? 'status' : 'alert'}>
          <Text size="sm">{result.works ? t(`worked.${group}`, { to: result.to }) : t(`failed.${result.step}`)}</Text>
          {result.problem !== null && <Quoted told={result.problem} />}
        </Alert>
      )}
    </Stack>
  );
}
