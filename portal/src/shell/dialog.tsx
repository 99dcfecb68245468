// Every dialog of the pages. It does not move while it opens, because a press would begin on one of its buttons and end beside it; and
// while it closes it takes neither clicks nor keys, because its question is answered.
import { Modal, type ModalProps } from '@mantine/core';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

const fade = { duration: 200, transition: 'fade' } as const;

export function Dialog({ opened, ...others }: ModalProps): ReactNode {
  const { t } = useTranslation('shell');
  return (
    <Modal
      opened={opened}
      transitionProps={fade}
      closeButtonProps={{ 'aria-label': t('close') }}
      attributes={{ content: { inert: !opened } }}
      {...others}
    />
  );
}
