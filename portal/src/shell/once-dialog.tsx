// A dialog with content that is shown only once: neither Escape nor a click outside closes it before the content was copied.
import { type ModalProps } from '@mantine/core';
import { type ReactNode, useState } from 'react';
import { Dialog } from './dialog.tsx';

export interface OnceDialogProps extends Pick<ModalProps, 'size'> {
  readonly opened: boolean;
  readonly title: string;
  /** Closes it. */
  readonly done: () => void;
  /** Call `copied` when the content was copied. */
  readonly children: (copied: () => void) => ReactNode;
}

export function OnceDialog({ opened, title, size, done, children }: OnceDialogProps): ReactNode {
  const [isCopied, setCopied] = useState(false);
  return (
    <Dialog
      opened={opened}
      onClose={done}
      onExitTransitionEnd={() => setCopied(false)}
      title={title}
      {...(size === undefined ? {} : { size })}
      closeOnEscape={isCopied}
      closeOnClickOutside={false}
      withCloseButton={isCopied}
    >
      {children(() => setCopied(true))}
    </Dialog>
  );
}
