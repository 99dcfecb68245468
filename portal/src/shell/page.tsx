// The frame of a page: its heading, its description, and its actions.
import { Box, Group, Stack, Text, Title } from '@mantine/core';
import { useDocumentTitle } from '@mantine/hooks';
import type { ReactNode } from 'react';
import { useSession } from '../session.tsx';
import { type Document, Help } from './help.tsx';

export interface PageProps {
  readonly title: string;
  readonly lead?: ReactNode;
  /** The document about it. */
  readonly help?: Document;
  readonly actions?: ReactNode;
  readonly children: ReactNode;
}

export function Page({ title, lead, help, actions, children }: PageProps): ReactNode {
  const { gate } = useSession().session;
  useDocumentTitle(`${title} · ${gate.name}`);
  return (
    <Stack gap="lg">
      <Group justify="space-between" align="flex-start" gap="sm">
        <Box maw={720}>
          <Title order={1} size="h2">
            {title}
          </Title>
          {lead !== undefined && (
            <Text c="dimmed" mt={4}>
              {lead}
            </Text>
          )}
        </Box>
        {(actions !== undefined || help !== undefined) && (
          <Group gap="xs">
            {help !== undefined && <Help about={help} />}
            {actions}
          </Group>
        )}
      </Group>
      {children}
    </Stack>
  );
}
