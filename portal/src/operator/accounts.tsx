// All accounts, with search on the server; creates and opens accounts.
import { Badge, Button, Group, Select, Table, TextInput } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useLocation } from 'wouter';
import { api, useAct, usePages } from '../api.ts';
import type { Account } from '../api-types.ts';
import { IconPlus, IconUsers } from '../icons.ts';
import { useSession } from '../session.tsx';
import { Empty } from '../shell/empty.tsx';
import { FormDialog } from '../shell/form-dialog.tsx';
import { AccountName } from '../shell/named.tsx';
import { Page } from '../shell/page.tsx';
import { Rows } from '../shell/rows.tsx';
import { useSearch } from '../shell/search.tsx';
import { SelectionBar, SelectRow, useSelection } from '../shell/selection.tsx';
import { useAccountActions } from './account-actions.tsx';
import { PlanChoice } from './plan-choice.tsx';

export const roles = ['member', 'auditor', 'operator'] as const;

export default function Accounts(): ReactNode {
  const { t } = useTranslation('operator');
  const { operates } = useSession();
  const [field, search] = useSearch(t('accounts.search'));
  const pages = usePages<Account>('/accounts', { search });
  const open = operates ? pages.rows.filter(({ closedAt }) => closedAt === null) : [];
  const selection = useSelection(open);
  const { buttons, dialogs } = useAccountActions(selection);
  return (
    <Page title={t('accounts.title')} lead={t('accounts.lead')} actions={operates && <NewAccount />}>
      {field}
      <SelectionBar selection={selection} rows={open}>
        {buttons}
      </SelectionBar>
      {dialogs}
      <Rows
        pages={pages}
        label={t('accounts.title')}
        head={[
          { name: t('accounts.name'), by: ({ name }) => name },
          { name: t('accounts.plan'), by: ({ plan }) => plan },
          { name: t('accounts.role'), by: ({ role }) => t(`accounts.roles.${role}`) },
          { name: t('accounts.keys'), by: ({ keys }) => keys, right: true },
          t('accounts.state'),
        ]}
        empty={<Empty icon={<IconUsers size={28} />} text={t('accounts.empty')} />}
        row={(account) => (
          <Table.Tr key={account.id}>
            <Table.Td maw={320}>
              {operates && account.closedAt === null ? (
                <SelectRow selection={selection} row={account}>
                  <AccountName id={account.id} name={account.name} />
                </SelectRow>
              ) : (
                <AccountName id={account.id} name={account.name} />
              )}
            </Table.Td>
            <Table.Td>{account.plan ?? t('accounts.noPlan')}</Table.Td>
            <Table.Td>{t(`accounts.roles.${account.role}`)}</Table.Td>
            <Table.Td ta="right">{account.keys}</Table.Td>
            <Table.Td>
              <State account={account} />
            </Table.Td>
          </Table.Tr>
        )}
      />
    </Page>
  );
}

export function State({ account }: { readonly account: Account }): ReactNode {
  const { t } = useTranslation('operator');
  const { closedAt, inForce } = account;
  if (closedAt !== null)
    return (
      <Badge variant="light" color="gray">
        {t('accounts.closed')}
      </Badge>
    );
  if (inForce.length === 0)
    return (
      <Badge variant="light" color="teal">
        {t('accounts.fine')}
      </Badge>
    );
  return (
    <Group gap={4}>
      {inForce.map(({ id, step }) => (
        <Badge key={id} variant="light" color={step === 'warn' ? 'yellow' : 'red'}>
          {t(`suspensions.steps.${step}`)}
        </Badge>
      ))}
    </Group>
  );
}

function NewAccount(): ReactNode {
  const { t } = useTranslation('operator');
  const [open, { open: show, close }] = useDisclosure();
  const [, go] = useLocation();
  const [name, setName] = useState('');
  const [plan, setPlan] = useState<string | null>('default');
  const [role, setRole] = useState<string>('member');
  const create = useAct(
    () =>
      api.post<Account>(
        '/accounts',
        { name, role, ...(plan === null || role === 'operator' ? {} : { plan }) },
        { once: true },
      ),
    { done: t('accounts.made'), refresh: ['/accounts'] },
  );
  return (
    <>
      <Button leftSection={<IconPlus size={18} />} onClick={show}>
        {t('accounts.create')}
      </Button>
      <FormDialog
        opened={open}
        onClose={close}
        title={t('accounts.create')}
        act={t('accounts.create')}
        busy={create.isPending}
        send={() => {
          create.mutate(undefined, { onSuccess: ({ id }) => go(`/operate/accounts/${id}`) });
        }}
      >
        <TextInput
          label={t('accounts.name')}
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
          maxLength={200}
          required
          data-autofocus
        />
        <Select
          label={t('accounts.role')}
          data={roles.map((value) => ({ value, label: t(`accounts.roles.${value}`) }))}
          value={role}
          onChange={(value) => setRole(value ?? 'member')}
          allowDeselect={false}
        />
        {role !== 'operator' && <PlanChoice label={t('accounts.plan')} value={plan} onChange={setPlan} />}
      </FormDialog>
    </>
  );
}
