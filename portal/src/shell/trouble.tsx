// Data could not be loaded: shows the reason, and a button to retry.
import { Alert, Button, Code, Group, Text } from '@mantine/core';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import type { Problem } from '../api.ts';
import { IconAlertTriangle } from '../icons.ts';

export function Trouble({ problem, retry }: { readonly problem: Problem; readonly retry?: () => void }): ReactNode {
  const { t } = useTranslation('shell');
  return (
    <Alert color="red" icon={<IconAlertTriangle size={20} />} title={t('trouble.title')} role="alert">
      <Text size="sm">{problem.message}</Text>
      {problem.errors.slice(1).map((error) => (
        <Text key={error} size="sm">
          {error}
        </Text>
      ))}
      <Group mt="xs" gap="xs">
        {retry && (
          <Button size="compact-sm" variant="light" color="red" onClick={retry}>
            {t('retry')}
          </Button>
        )}
        {problem.requestId !== undefined && <Code>{problem.requestId}</Code>}
      </Group>
    </Alert>
  );
}
