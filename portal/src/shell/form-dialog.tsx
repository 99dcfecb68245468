// A dialog with a few fields and a button that submits them.
import { Button, Group, Stack } from '@mantine/core';
import type { ReactNode } from 'react';
import { Dialog } from './dialog.tsx';

export interface FormDialogProps {
  readonly opened: boolean;
  readonly onClose: () => void;
  readonly title: string;
  /** The label of the button. */
  readonly act: string;
  /** The action has consequences for others. */
  readonly grave?: boolean;
  readonly busy: boolean;
  readonly send: () => void;
  readonly children: ReactNode;
}

export function FormDialog({ opened, onClose, title, act, grave, busy, send, children }: FormDialogProps): ReactNode {
  return (
    <Dialog opened={opened} onClose={onClose} title={title}>
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
    </Dialog>
  );
}
