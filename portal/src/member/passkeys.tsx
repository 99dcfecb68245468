// The list of passkeys, with their creation and last use: add, rename and remove.
import { Button, Group, Stack, Text, TextInput } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useMutation, useQuery } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Problem, wordsOf } from '../api.ts';
import { type Passkey, passkeys } from '../auth.ts';
import { IconFingerprint } from '../icons.ts';
import { useAsk } from '../shell/ask.tsx';
import { browserNameOf } from '../shell/browser-name.ts';
import { FormDialog } from '../shell/form-dialog.tsx';
import { Trouble } from '../shell/trouble.tsx';
import { useWriting } from '../shell/when.ts';

const say = (message: string, color: 'teal' | 'red'): void => void notifications.show({ message, color });

export function Passkeys(): ReactNode {
  const { t } = useTranslation('member');
  const ask = useAsk();
  const list = useQuery<readonly Passkey[], Problem>({ queryKey: ['passkeys'], queryFn: passkeys.list });
  const [named, setNamed] = useState<Passkey | 'new'>();
  const remove = useMutation({
    mutationFn: (id: string) => passkeys.remove(id),
    onSuccess: async () => {
      say(t('me.removed'), 'teal');
      await list.refetch();
    },
    onError: (error) => say(wordsOf(error), 'red'),
  });
  const askToRemove = async ({ id, name }: Passkey): Promise<void> => {
    const question = { title: t('me.passkeyRemove', { name }), text: t('me.passkeyRemoveText'), act: t('me.remove') };
    if (await ask(question)) remove.mutate(id);
  };
  return (
    <Stack gap="md">
      <Text size="sm">{t('me.passkeysText')}</Text>
      {list.error && <Trouble problem={list.error} retry={() => void list.refetch()} />}
      {list.data?.length === 0 && (
        <Text size="sm" c="dimmed">
          {t('me.passkeyNone')}
        </Text>
      )}
      {list.data?.map((passkey) => (
        <Row
          key={passkey.id}
          passkey={passkey}
          rename={() => setNamed(passkey)}
          remove={() => void askToRemove(passkey)}
        />
      ))}
      <Button
        w="fit-content"
        variant="default"
        leftSection={<IconFingerprint size={18} />}
        onClick={() => setNamed('new')}
      >
        {t('me.passkeyAdd')}
      </Button>
      {named !== undefined && (
        <Naming passkey={named} close={() => setNamed(undefined)} done={() => void list.refetch()} />
      )}
    </Stack>
  );
}

function Row(props: {
  readonly passkey: Passkey;
  readonly rename: () => void;
  readonly remove: () => void;
}): ReactNode {
  const { t } = useTranslation('member');
  const { moment } = useWriting();
  const { name, createdAt, lastUsedAt } = props.passkey;
  return (
    <Group justify="space-between" gap="xs">
      <div style={{ flex: '1 1 14rem', overflowWrap: 'anywhere' }}>
        <Text size="sm">{name}</Text>
        <Text size="xs" c="dimmed">
          {t('me.passkeyAddedAt', { when: moment(createdAt) })} ·{' '}
          {lastUsedAt === null ? t('me.passkeyUnused') : t('me.passkeyUsedAt', { when: moment(lastUsedAt) })}
        </Text>
      </div>
      <Group gap="xs">
        <Button
          size="compact-sm"
          variant="default"
          aria-label={t('me.passkeyRenameWhat', { name })}
          onClick={props.rename}
        >
          {t('me.passkeyRename')}
        </Button>
        <Button
          size="compact-sm"
          variant="light"
          color="red"
          aria-label={t('me.removeWhat', { name })}
          onClick={props.remove}
        >
          {t('me.remove')}
        </Button>
      </Group>
    </Group>
  );
}

/** A name for a passkey, before it is added or later. */
function Naming({
  passkey,
  close,
  done,
}: {
  readonly passkey: Passkey | 'new';
  readonly close: () => void;
  readonly done: () => void;
}): ReactNode {
  const { t } = useTranslation('member');
  const isNew = passkey === 'new';
  const [name, setName] = useState(isNew ? (browserNameOf(navigator.userAgent) ?? '') : passkey.name);
  const save = useMutation({
    mutationFn: () => (isNew ? passkeys.add(name) : passkeys.rename(passkey.id, name).then(() => undefined)),
    onSuccess: () => {
      say(t(isNew ? 'me.passkeyAdded' : 'me.passkeyRenamed'), 'teal');
      done();
      close();
    },
    // A browser that was told no, or has no authenticator, says so in words of its own.
    onError: (error) => say(error instanceof Problem ? wordsOf(error) : t('me.passkeyFailed'), 'red'),
  });
  return (
    <FormDialog
      opened
      onClose={close}
      title={t(isNew ? 'me.passkeyAdd' : 'me.passkeyRename')}
      act={t(isNew ? 'me.passkeyGoOn' : 'me.save')}
      busy={save.isPending}
      send={() => save.mutate()}
    >
      <TextInput
        label={t('me.passkeyName')}
        description={t('me.passkeyNameHint')}
        value={name}
        onChange={(event) => setName(event.currentTarget.value)}
        maxLength={100}
        required
        data-autofocus
      />
    </FormDialog>
  );
}
