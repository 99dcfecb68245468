// Backup codes of the second step, shown this once: to read, to copy, or to keep as a file.
import { Button, Code, CopyButton, Group, SimpleGrid, Stack } from '@mantine/core';
import { IconCheck, IconCopy, IconDownload } from '@tabler/icons-react';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { useSession } from '../session.tsx';

export function BackupCodes({ codes }: { readonly codes: readonly string[] }): ReactNode {
  const { t } = useTranslation('member');
  const { session } = useSession();
  const text = `${session.gate.url}\n${session.person?.email ?? ''}\n\n${codes.join('\n')}\n`;
  return (
    <Stack gap="xs">
      <SimpleGrid cols={{ base: 2, sm: 5 }} spacing="xs">
        {codes.map((each) => (
          <Code key={each}>{each}</Code>
        ))}
      </SimpleGrid>
      <Group gap="xs">
        <CopyButton value={codes.join('\n')} timeout={2000}>
          {({ copied, copy }) => (
            <Button
              size="xs"
              variant="default"
              leftSection={copied ? <IconCheck size={16} /> : <IconCopy size={16} />}
              onClick={copy}
            >
              {t(copied ? 'shell:copied' : 'me.backupCopy')}
            </Button>
          )}
        </CopyButton>
        <Button
          size="xs"
          variant="default"
          leftSection={<IconDownload size={16} />}
          component="a"
          href={`data:text/plain;charset=utf-8,${encodeURIComponent(text)}`}
          download="sekisho-backup-codes.txt"
        >
          {t('me.backupFile')}
        </Button>
      </Group>
    </Stack>
  );
}
