// Text with a button that copies it.
import { ActionIcon, Box, Code, CopyButton, Group, Tooltip } from '@mantine/core';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { IconCheck, IconCopy } from '../icons.ts';

export interface CopyProps {
  readonly text: string;
  /** A description for assistive technology. */
  readonly label: string;
  readonly block?: boolean;
  readonly onCopy?: () => void;
}

export function Copy({ text, label, block = false, onCopy }: CopyProps): ReactNode {
  const { t } = useTranslation('shell');
  const button = (
    <CopyButton value={text} timeout={2000}>
      {({ copied, copy }) => (
        <Tooltip label={t(copied ? 'copied' : 'copy')} withArrow>
          <ActionIcon
            variant={block ? 'default' : 'subtle'}
            color={copied ? 'teal' : 'gray'}
            onClick={() => {
              copy();
              onCopy?.();
            }}
            aria-label={copied ? t('copied') : t('copyWhat', { what: label })}
          >
            {copied ? <IconCheck size={16} /> : <IconCopy size={16} />}
          </ActionIcon>
        </Tooltip>
      )}
    </CopyButton>
  );
  if (!block)
    return (
      <Group gap={4} wrap="nowrap" component="span">
        <Code>{text}</Code>
        {button}
      </Group>
    );
  return (
    <Code component="div" p={0} className="copied">
      {/* A key or a link is one word, which is shown whole; lines of a program are scrolled. */}
      <Code
        block
        flex={1}
        tabIndex={0}
        role="region"
        aria-label={label}
        {...(/\s/.test(text) ? {} : { style: { whiteSpace: 'pre-wrap' } })}
      >
        {text}
      </Code>
      <Box p={6}>{button}</Box>
    </Code>
  );
}
