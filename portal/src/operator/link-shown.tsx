// Shows a one-time link to pass on.
import { Button, Group, Stack, Text } from '@mantine/core';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { Copy } from '../shell/copy.tsx';
import { OnceDialog } from '../shell/once-dialog.tsx';

export function LinkShown(props: {
  readonly title: string;
  readonly text: string;
  readonly url: string | undefined;
  readonly close: () => void;
}): ReactNode {
  const { t } = useTranslation('shell');
  const { title, text, url, close } = props;
  return (
    <OnceDialog opened={url !== undefined} title={title} size="lg" done={close}>
      {(copied) => (
        <Stack>
          <Text size="sm">{text}</Text>
          {url !== undefined && <Copy block text={url} label={title} onCopy={copied} />}
          <Group justify="flex-end">
            <Button onClick={close}>{t('haveCopied')}</Button>
          </Group>
        </Stack>
      )}
    </OnceDialog>
  );
}
