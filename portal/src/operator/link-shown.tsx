// A one-time link, shown to be handed on.
import { Modal, Stack, Text } from '@mantine/core';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { Copy } from '../shell/copy.tsx';

export function LinkShown(props: {
  readonly title: string;
  readonly text: string;
  readonly url: string | undefined;
  readonly close: () => void;
}): ReactNode {
  const { t } = useTranslation('shell');
  return (
    <Modal
      opened={props.url !== undefined}
      onClose={props.close}
      title={props.title}
      size="lg"
      closeButtonProps={{ 'aria-label': t('close') }}
    >
      <Stack>
        <Text size="sm">{props.text}</Text>
        {props.url !== undefined && <Copy block text={props.url} label={props.title} />}
      </Stack>
    </Modal>
  );
}
