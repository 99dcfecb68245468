// The empty state of a list: what will be shown, and the next step.
import { Paper, Stack, Text, ThemeIcon } from '@mantine/core';
import type { ReactNode } from 'react';

export interface EmptyProps {
  readonly icon?: ReactNode;
  readonly title?: string;
  readonly text: ReactNode;
  readonly action?: ReactNode;
}

export function Empty({ icon, title, text, action }: EmptyProps): ReactNode {
  return (
    <Paper withBorder p="xl">
      <Stack align="center" gap="sm" ta="center">
        {icon !== undefined && (
          <ThemeIcon variant="light" size={52} radius="xl">
            {icon}
          </ThemeIcon>
        )}
        {title !== undefined && <Text fw={600}>{title}</Text>}
        <Text c="dimmed" maw={520}>
          {text}
        </Text>
        {action}
      </Stack>
    </Paper>
  );
}
