// Backup codes of the second step, shown only once: to read, copy, or download; and creating new ones.
import { Button, Code, CopyButton, Group, SimpleGrid, Stack, Text } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useMutation } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { wordsOf } from '../api.ts';
import { renewBackupCodes } from '../auth.ts';
import { IconCheck, IconCopy, IconDownload } from '../icons.ts';
import { useSession } from '../session.tsx';
import { useAsk } from '../shell/ask.tsx';

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

/** Asks first, since the codes that somebody has kept stop working. */
export function RenewBackupCodes(): ReactNode {
  const { t } = useTranslation('member');
  const ask = useAsk();
  const [codes, setCodes] = useState<readonly string[]>();
  const renew = useMutation({
    mutationFn: renewBackupCodes,
    onSuccess: setCodes,
    onError: (error) => notifications.show({ message: wordsOf(error), color: 'red' }),
  });
  const start = async (): Promise<void> => {
    const act = t('me.backupRenew');
    if (await ask({ title: t('me.backupRenewTitle'), text: t('me.backupRenewText'), act })) renew.mutate();
  };
  return (
    <>
      {codes && (
        <>
          <Text size="sm">{t('me.backupRenewed')}</Text>
          <BackupCodes codes={codes} />
        </>
      )}
      <Button w="fit-content" variant="default" loading={renew.isPending} onClick={() => void start()}>
        {t('me.backupRenew')}
      </Button>
    </>
  );
}
