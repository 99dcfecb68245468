// The form for a model server. Only changed fields are sent, and a secret only if one was entered.
import { Accordion, Checkbox, MultiSelect, PasswordInput, Stack, Text, Textarea, TextInput } from '@mantine/core';
import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, faultOf, useAct, useGet } from '../api.ts';
import type { PageOf, Plan, Server } from '../api-types.ts';
import { FormDialog } from '../shell/form-dialog.tsx';
import { NumberField } from '../shell/number-field.tsx';
import { AccountsPicker } from '../shell/picker.tsx';
import { type Seen, seeAgain, useSeen } from '../shell/seen.ts';
import { type Fields, fieldsOf, newServer, readSlots } from './server-fields.ts';

const refresh = ['/servers', '/audit'];
/** The fields of the files are folded away. */
const shows = (field: string): boolean => field in newServer && !field.endsWith('File');

export function AddServer({ close }: { readonly close: () => void }): ReactNode {
  const { t } = useTranslation('serving');
  const [fields, setFields] = useState<Fields>(newServer);
  const create = useAct(() => api.post('/servers', bodyOf(fields), { once: true }), {
    done: t('servers.added'),
    refresh,
    shows,
  });
  return (
    <FormDialog
      opened
      onClose={close}
      title={t('servers.add')}
      act={t('servers.add')}
      busy={create.isPending}
      send={() => {
        create.mutate(undefined, { onSuccess: close });
      }}
    >
      <Inputs
        fields={fields}
        error={create.error}
        set={(change) => setFields((before) => ({ ...before, ...change }))}
      />
    </FormDialog>
  );
}

export function ChangeServer({ id, close }: { readonly id: string; readonly close: () => void }): ReactNode {
  const seen = useSeen<Server>(`/servers/${id}`);
  return seen.data ? <Change id={id} seen={seen.data} again={seen.refetch} close={close} /> : null;
}

function Change({
  id,
  seen: { body: server, etag },
  again,
  close,
}: {
  readonly id: string;
  readonly again: () => Promise<unknown>;
  readonly seen: Seen<Server>;
  readonly close: () => void;
}): ReactNode {
  const { t } = useTranslation('serving');
  const [before] = useState(() => fieldsOf(server));
  const [fields, setFields] = useState(before);
  const save = useAct(() => api.patch(`/servers/${id}`, bodyOf(fields, before), etag === undefined ? {} : { etag }), {
    done: t('servers.saved'),
    refresh,
    shows,
  });
  return (
    <FormDialog
      opened
      onClose={close}
      title={t('servers.editTitle', { name: server.name })}
      act={t('servers.save')}
      busy={save.isPending}
      send={() => {
        save.mutate(undefined, { onSuccess: close, onError: seeAgain(again) });
      }}
    >
      <Inputs
        fields={fields}
        error={save.error}
        stored={server.secret?.from === 'stored'}
        set={(change) => setFields((now) => ({ ...now, ...change }))}
      />
    </FormDialog>
  );
}

/** The changed members; for a new server, all that are set. */
function bodyOf(fields: Fields, before: Fields = newServer): Record<string, unknown> {
  const { slots, secret, noSecret, ...rest } = fields;
  const names = Object.keys(rest) as (keyof typeof rest)[];
  const changed = names.filter((name) => JSON.stringify(rest[name]) !== JSON.stringify(before[name]));
  const empty = (value: unknown): unknown =>
    value === '' || (Array.isArray(value) && value.length === 0) ? null : value;
  return {
    ...Object.fromEntries(changed.map((name) => [name, empty(rest[name])])),
    ...(slots === before.slots ? {} : { slots: readSlots(slots) }),
    ...(noSecret ? { secret: null } : secret === '' ? {} : { secret }),
  };
}

interface InputsProps {
  readonly fields: Fields;
  readonly set: (change: Partial<Fields>) => void;
  readonly error: Error | null;
  /** A secret is stored. */
  readonly stored?: boolean;
}

function Inputs({ fields, set, error, stored = false }: InputsProps): ReactNode {
  const { t } = useTranslation('serving');
  const plans = useGet<PageOf<Plan>>('/plans');
  return (
    <>
      <TextInput
        label={t('servers.name')}
        error={faultOf(error, 'name')}
        description={t('servers.nameHint')}
        value={fields.name}
        onChange={(event) => set({ name: event.currentTarget.value })}
        pattern="[a-z0-9][a-z0-9\-]{0,39}"
        required
        data-autofocus
      />
      <TextInput
        label={t('servers.address')}
        error={faultOf(error, 'address')}
        description={t('servers.addressHint')}
        value={fields.address}
        onChange={(event) => set({ address: event.currentTarget.value })}
        type="url"
        required
      />
      <TextInput
        label={t('servers.kind')}
        error={faultOf(error, 'kind')}
        description={t('servers.kindHint')}
        value={fields.kind}
        onChange={(event) => set({ kind: event.currentTarget.value.trim() })}
      />
      <SecretInput fields={fields} set={set} error={error} stored={stored} />
      <NumberField
        label={t('servers.weight')}
        error={faultOf(error, 'weight')}
        description={t('servers.weightHint')}
        value={fields.weight}
        onChange={(weight) => set({ weight })}
        min={0.01}
        max={100}
        decimalScale={2}
        required
      />
      <Textarea
        label={t('servers.slots')}
        error={faultOf(error, 'slots')}
        description={t('servers.slotsHint')}
        value={fields.slots}
        onChange={(event) => set({ slots: event.currentTarget.value })}
        autosize
        minRows={1}
        maxRows={8}
      />
      <MultiSelect
        label={t('servers.plans')}
        error={faultOf(error, 'plans')}
        description={t('servers.plansHint')}
        data={plans.data?.items.map(({ name }) => name) ?? []}
        value={[...fields.plans]}
        onChange={(value) => set({ plans: value })}
        clearable
      />
      <AccountsPicker
        label={t('servers.accounts')}
        error={faultOf(error, 'accounts')}
        description={t('servers.accountsHint')}
        value={fields.accounts}
        onChange={(value) => set({ accounts: value })}
      />
      <Files fields={fields} set={set} />
    </>
  );
}

function SecretInput({ fields, set, error, stored = false }: InputsProps): ReactNode {
  const { t } = useTranslation('serving');
  return (
    <>
      <PasswordInput
        label={t('servers.secret')}
        error={faultOf(error, 'secret')}
        description={t('servers.secretHint')}
        placeholder={stored ? t('servers.secretKept') : ''}
        value={fields.secret}
        onChange={(event) => set({ secret: event.currentTarget.value })}
        disabled={fields.noSecret}
        autoComplete="off"
      />
      {stored && (
        <Checkbox
          label={t('servers.secretRemove')}
          checked={fields.noSecret}
          onChange={(event) => set({ noSecret: event.currentTarget.checked })}
        />
      )}
    </>
  );
}

function Files({ fields, set }: Pick<InputsProps, 'fields' | 'set'>): ReactNode {
  const { t } = useTranslation('serving');
  return (
    <Accordion variant="contained">
      <Accordion.Item value="files">
        <Accordion.Control>{t('servers.files')}</Accordion.Control>
        <Accordion.Panel>
          <Stack gap="sm">
            <Text size="sm" c="dimmed">
              {t('servers.filesHint')}
            </Text>
            <TextInput
              label={t('servers.secretFileField')}
              value={fields.secretFile}
              onChange={(event) => set({ secretFile: event.currentTarget.value })}
            />
            {(['caFile', 'certificateFile', 'keyFile'] as const).map((name) => (
              <TextInput
                key={name}
                label={t(`servers.${name}`)}
                value={fields[name]}
                onChange={(event) => set({ [name]: event.currentTarget.value })}
              />
            ))}
          </Stack>
        </Accordion.Panel>
      </Accordion.Item>
    </Accordion>
  );
}
