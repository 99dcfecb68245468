// Shows the name of an object; the id is shown on hover and can be copied.
import { ActionIcon, Anchor, CopyButton, Group, Text, Tooltip } from '@mantine/core';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'wouter';
import { IconCheck, IconCopy } from '../icons.ts';

export interface NamedProps {
  readonly id: string;
  readonly name: string;
}

/** A name, and a button that copies the id. */
export function Named({ id, name }: NamedProps): ReactNode {
  return (
    <Group component="span" gap={4} wrap="nowrap" display="inline-flex" maw="100%">
      <Text span inherit title={id} style={{ overflowWrap: 'anywhere' }}>
        {name === '' ? id : name}
      </Text>
      <CopyId id={id} name={name} />
    </Group>
  );
}

/** An account, which leads to its page. */
export function AccountName({ id, name }: NamedProps): ReactNode {
  return (
    <Anchor component={Link} href={`/operate/accounts/${id}`} size="sm" title={id} style={{ overflowWrap: 'anywhere' }}>
      {name}
    </Anchor>
  );
}

export function CopyId({ id, name }: NamedProps): ReactNode {
  const { t } = useTranslation('shell');
  return (
    <CopyButton value={id} timeout={2000}>
      {({ copied, copy }) => (
        <Tooltip label={copied ? t('copied') : id} withArrow>
          <ActionIcon
            variant="subtle"
            color={copied ? 'teal' : 'gray'}
            size="sm"
            onClick={copy}
            aria-label={t('copyId', { name: name === '' ? id : name })}
          >
            {copied ? <IconCheck size={14} /> : <IconCopy size={14} />}
          </ActionIcon>
        </Tooltip>
      )}
    </CopyButton>
  );
}
