// A table of keys of any account: create, rotate and revoke.
import { Badge, Button, Group, MultiSelect, Table, TextInput } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, type Pages, useAct, useGet } from '../api.ts';
import type { Key, KeyRow, KeyWithSecret, PageOf, Route } from '../api-types.ts';
import { IconKey, IconPlus } from '../icons.ts';
import { Secret } from '../member/new-key.tsx';
import { useSession } from '../session.tsx';
import { useAsk } from '../shell/ask.tsx';
import { useBulk } from '../shell/bulk.tsx';
import { Empty } from '../shell/empty.tsx';
import { FormDialog } from '../shell/form-dialog.tsx';
import { ModelsField } from '../shell/model-field.tsx';
import { AccountName, Named } from '../shell/named.tsx';
import { AccountPicker } from '../shell/picker.tsx';
import { Rows } from '../shell/rows.tsx';
import { Names, SelectionBar, SelectRow, useSelection } from '../shell/selection.tsx';
import { useWriting } from '../shell/when.ts';

const scopes = [
  'inference:chat',
  'inference:audio',
  'inference:embed',
  'metadata',
  'cloud',
  'models:pull',
  'models:push',
  'models:create',
  'models:copy',
  'models:delete',
  'management:read',
  'management:write',
];

export function KeyRows({
  pages,
  owner = false,
}: {
  readonly pages: Pages<KeyRow>;
  readonly owner?: boolean;
}): ReactNode {
  const { t } = useTranslation('operator');
  const { operates } = useSession();
  const { relative, moment } = useWriting();
  const ask = useAsk();
  const [made, setMade] = useState<KeyWithSecret>();
  const refresh = ['/keys', '/accounts'];
  const revoke = useAct((id: string) => api.post(`/keys/${id}/revoke`), { done: t('member:keys.revoked'), refresh });
  const rotate = useAct(
    (id: string) => api.post<KeyWithSecret>(`/keys/${id}/rotate`, { graceSeconds: 86_400 }, { once: true }),
    { refresh },
  );
  const alive = ({ status, expiresAt }: Key): boolean =>
    status === 'active' && (expiresAt === null || new Date(expiresAt) > new Date());
  const onRevoke = async ({ id, name }: Key): Promise<void> => {
    const question = {
      title: t('member:keys.revokeTitle', { name }),
      text: t('member:keys.revokeText'),
      act: t('member:keys.revoke'),
    };
    if (await ask(question)) revoke.mutate(id);
  };
  const onRotate = async ({ id, name }: Key): Promise<void> => {
    const text = `${t('member:keys.rotateText')} ${t('member:keys.overlap.86400')}`;
    const question = {
      title: t('member:keys.rotateTitle', { name }),
      text,
      act: t('member:keys.rotate'),
      harmless: true,
    };
    if (await ask(question)) rotate.mutate(id, { onSuccess: setMade });
  };
  const working = operates ? pages.rows.filter(alive) : [];
  const { aside } = useWriting();
  const selection = useSelection(working);
  const { chosen } = selection;
  const bulk = useBulk('/keys/bulk', selection, refresh);
  const onRevokeAll = async (): Promise<void> => {
    const question = {
      title: t('lists:bulk.revokeTitle', { count: chosen.length }),
      text: (
        <>
          {t('lists:bulk.revokeText')}
          <Names of={chosen.map((key) => ({ ...key, name: owner ? aside(key.name, key.accountName) : key.name }))} />
        </>
      ),
      act: t('lists:bulk.revoke'),
      type: String(chosen.length),
    };
    if (await ask(question)) bulk.send({ action: 'revoke' });
  };
  return (
    <>
      <SelectionBar selection={selection} rows={working}>
        <Button size="compact-xs" variant="light" color="red" loading={bulk.busy} onClick={() => void onRevokeAll()}>
          {t('lists:bulk.revoke')}
        </Button>
      </SelectionBar>
      {bulk.failures}
      <Rows
        pages={pages}
        label={t('keys.title')}
        head={[
          { name: t('keys.key'), by: ({ name }) => name },
          ...(owner ? [{ name: t('keys.account'), by: ({ accountName }: KeyRow) => accountName }] : []),
          { name: t('keys.used'), by: ({ lastUsedAt }) => lastUsedAt },
          t('accounts.state'),
          '',
        ]}
        empty={<Empty icon={<IconKey size={28} />} text={t('keys.empty')} />}
        row={(key) => (
          <Table.Tr key={key.id}>
            <Table.Td maw={280}>
              {operates && alive(key) ? (
                <SelectRow selection={selection} row={key}>
                  <Named id={key.id} name={key.name} />
                </SelectRow>
              ) : (
                <Named id={key.id} name={key.name} />
              )}
            </Table.Td>
            {owner && (
              <Table.Td>
                <AccountName id={key.account} name={key.accountName} />
              </Table.Td>
            )}
            <Table.Td title={moment(key.lastUsedAt)}>
              {key.lastUsedAt === null ? t('never') : relative(key.lastUsedAt)}
            </Table.Td>
            <Table.Td>
              <Badge variant="light" color={alive(key) ? 'teal' : 'gray'}>
                {t(`member:keys.status.${alive(key) ? 'active' : key.status === 'revoked' ? 'revoked' : 'expired'}`)}
              </Badge>
            </Table.Td>
            <Table.Td>
              {operates && alive(key) && (
                <Group gap={4} wrap="nowrap" justify="flex-end">
                  {key.kind === 'secret' && (
                    <Button size="compact-xs" variant="default" onClick={() => void onRotate(key)}>
                      {t('member:keys.rotate')}
                    </Button>
                  )}
                  <Button size="compact-xs" variant="light" color="red" onClick={() => void onRevoke(key)}>
                    {t('member:keys.revoke')}
                  </Button>
                </Group>
              )}
            </Table.Td>
          </Table.Tr>
        )}
      />
      <Secret made={made} done={() => setMade(undefined)} />
    </>
  );
}

/** A key for an account: the one of the page, or one that is entered. */
export function NewKeyFor({ account }: { readonly account?: string }): ReactNode {
  const { t } = useTranslation('operator');
  const [open, { open: show, close }] = useDisclosure();
  const [owner, setOwner] = useState(account ?? '');
  const [name, setName] = useState('');
  const [chosen, setChosen] = useState<string[]>([]);
  const [models, setModels] = useState<string[]>([]);
  const [made, setMade] = useState<KeyWithSecret>();
  const routes = useGet<PageOf<Route>>('/routes');
  const ofServices = [
    ...new Set(
      routes.data?.items.map(({ name: route, options }) =>
        typeof options['scope'] === 'string' ? options['scope'] : `route:${route}`,
      ),
    ),
  ];
  const create = useAct(
    () =>
      api.post<KeyWithSecret>(
        '/keys',
        {
          name,
          account: owner,
          ...(chosen.length > 0 ? { scopes: chosen } : {}),
          ...(models.length > 0 ? { models } : {}),
        },
        { once: true },
      ),
    { refresh: ['/keys', '/accounts'] },
  );
  return (
    <>
      <Button
        leftSection={<IconPlus size={18} />}
        onClick={show}
        {...(account === undefined ? {} : { size: 'xs', variant: 'default' })}
      >
        {t('keys.create')}
      </Button>
      <FormDialog
        opened={open}
        onClose={close}
        title={t('keys.create')}
        act={t('member:keys.save')}
        busy={create.isPending}
        send={() => {
          create.mutate(undefined, {
            onSuccess: (key) => {
              setMade(key);
              close();
            },
          });
        }}
      >
        {account === undefined && (
          <AccountPicker label={t('keys.account')} value={owner} onChange={setOwner} required />
        )}
        <TextInput
          label={t('member:keys.name')}
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
          maxLength={200}
          required
          data-autofocus
        />
        <ModelsField
          label={t('member:keys.models')}
          description={t('member:keys.modelsHint')}
          value={models}
          onChange={setModels}
        />
        <MultiSelect
          label={t('keys.scopes')}
          description={`${t('keys.scopesHint')} ${t('keys.management')}`}
          data={[...scopes, ...ofServices]}
          value={chosen}
          onChange={setChosen}
          clearable
        />
      </FormDialog>
      <Secret made={made} done={() => setMade(undefined)} />
    </>
  );
}
