// Creating a key: its purpose, its restrictions, and its secret, which is shown only once with settings that use it.
import { Alert, Button, Collapse, Group, Stack, Text, TextInput } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, faultOf, useAct } from '../api.ts';
import type { KeyWithSecret } from '../api-types.ts';
import { IconAlertTriangle, IconPlus } from '../icons.ts';
import { useSession } from '../session.tsx';
import { Copy } from '../shell/copy.tsx';
import { FormDialog } from '../shell/form-dialog.tsx';
import { type Entered, NumberField } from '../shell/number-field.tsx';
import { OnceDialog } from '../shell/once-dialog.tsx';
import { instantOf, lastDay, useZone } from '../shell/zone.ts';
import { Setups } from './setups.tsx';

const list = (text: string): string[] => text.split(/[,、\s]+/).filter((word) => word !== '');

/** The button and its dialog. The page shows the secret, because the button may no longer be there. */
export function NewKey({
  label,
  made,
}: {
  readonly label?: string;
  readonly made: (key: KeyWithSecret) => void;
}): ReactNode {
  const { t } = useTranslation('member');
  const { session } = useSession();
  const [open, { open: show, close }] = useDisclosure();
  const [narrow, { toggle }] = useDisclosure();
  const zone = useZone();
  const [name, setName] = useState('');
  const [models, setModels] = useState('');
  const [cidr, setCidr] = useState('');
  const [expires, setExpires] = useState('');
  const [tokens, setTokens] = useState<Entered>(null);
  const create = useAct(
    () =>
      api.post<KeyWithSecret>(
        '/me/keys',
        {
          name,
          ...(list(models).length > 0 ? { models: list(models) } : {}),
          ...(list(cidr).length > 0 ? { cidr: list(cidr) } : {}),
          ...(expires === '' ? {} : { expiresAt: new Date(instantOf(`${expires}T23:59:59`, zone)).toISOString() }),
          ...(tokens === null ? {} : { limits: { tokensPerDay: tokens } }),
        },
        { once: true },
      ),
    { refresh: ['/me/keys'], shows: (field) => field === 'limits' && narrow },
  );
  if (session.view) return null;
  return (
    <>
      <Button leftSection={<IconPlus size={18} />} onClick={show}>
        {label ?? t('keys.create')}
      </Button>
      <FormDialog
        opened={open}
        onClose={close}
        title={t('keys.create')}
        act={t('keys.save')}
        busy={create.isPending}
        send={() => {
          create.mutate(undefined, {
            onSuccess: (key) => {
              made(key);
              setName('');
              close();
            },
          });
        }}
      >
        <TextInput
          label={t('keys.name')}
          description={t('keys.nameHint')}
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
          maxLength={200}
          required
          data-autofocus
        />
        <Button variant="subtle" size="compact-sm" w="fit-content" onClick={toggle} aria-expanded={narrow}>
          {t('keys.narrow')}
        </Button>
        <Collapse expanded={narrow}>
          <Stack>
            <TextInput
              label={t('keys.models')}
              description={t('keys.modelsHint')}
              value={models}
              onChange={(event) => setModels(event.currentTarget.value)}
            />
            <TextInput
              label={t('keys.cidr')}
              description={t('keys.cidrHint')}
              value={cidr}
              onChange={(event) => setCidr(event.currentTarget.value)}
            />
            <TextInput
              label={t('keys.expires')}
              description={t('keys.expiresHint')}
              type="date"
              max={lastDay}
              value={expires}
              onChange={(event) => setExpires(event.currentTarget.value)}
            />
            <NumberField
              label={t('keys.tokensPerDay')}
              value={tokens}
              onChange={setTokens}
              min={1}
              error={faultOf(create.error, 'limits')}
            />
          </Stack>
        </Collapse>
      </FormDialog>
    </>
  );
}

/** Shows a secret, once. Closes by its button, or in any way once the secret was copied. */
export function Secret({
  made,
  done,
}: {
  readonly made: KeyWithSecret | undefined;
  readonly done: () => void;
}): ReactNode {
  const { t } = useTranslation('member');
  return (
    <OnceDialog opened={made?.secret !== undefined} title={t('keys.once.title')} size="xl" done={done}>
      {(copied) => made?.secret !== undefined && <ShownOnce secret={made.secret} done={done} copied={copied} />}
    </OnceDialog>
  );
}

/** A secret, settings that use it, and the button that closes the dialog. */
export function ShownOnce(props: {
  readonly secret: string;
  readonly done: () => void;
  /** Called when it was copied. */
  readonly copied?: () => void;
}): ReactNode {
  const { t } = useTranslation('member');
  const { secret, done, copied } = props;
  return (
    <Stack>
      <Alert color="yellow" icon={<IconAlertTriangle size={20} />}>
        <Text size="sm">{t('keys.once.text')}</Text>
      </Alert>
      <Copy block text={secret} label={t('keys.once.title')} {...(copied ? { onCopy: copied } : {})} />
      <Setups secret={secret} />
      <Group justify="flex-end">
        <Button onClick={done}>{t('keys.once.done')}</Button>
      </Group>
    </Stack>
  );
}
