// A few fields in a dialog, and one button that sends them.
import { Button, Group, Modal, Stack } from '@mantine/core';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

export interface FormDialogProps {
  readonly opened: boolean;
  readonly onClose: () => void;
  readonly title: string;
  /** The word on the button. */
  readonly act: string;
  /** Somebody feels it. */
  readonly grave?: boolean;
  readonly busy: boolean;
  readonly send: () => void;
  readonly children: ReactNode;
}

export function FormDialog({ opened, onClose, title, act, grave, busy, send, children }: FormDialogProps): ReactNode {
  const { t } = useTranslation('shell');
  return (
    <Modal opened={opened} onClose={onClose} title={title} closeButtonProps={{ 'aria-label': t('close') }}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          send();
        }}
      >
        <Stack>
          {children}
          <Group justify="flex-end">
            <Button type="submit" loading={busy} {...(grave === true ? { color: 'red' } : {})}>
              {act}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
