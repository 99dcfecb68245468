// What can be done with the accounts that are chosen: another plan, a suspension, its end, or the end of the accounts.
import { Button, Textarea } from '@mantine/core';
import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';
import type { Account } from '../api-types.ts';
import { useAsk } from '../shell/ask.tsx';
import { useBulk } from '../shell/bulk.tsx';
import { FormDialog } from '../shell/form-dialog.tsx';
import { MomentInput } from '../shell/moment-input.tsx';
import { Names, type Selection } from '../shell/selection.tsx';
import { PlanChoice } from './plan-choice.tsx';

export interface AccountActions {
  readonly buttons: ReactNode;
  readonly dialogs: ReactNode;
}

export function useAccountActions(selection: Selection<Account>): AccountActions {
  const { t } = useTranslation('lists');
  const ask = useAsk();
  const [open, setOpen] = useState<'plan' | 'suspend'>();
  const bulk = useBulk('/accounts/bulk', selection, ['/accounts', '/keys', '/suspensions', '/audit']);
  const { chosen } = selection;
  const count = chosen.length;
  const close = (): void => setOpen(undefined);
  const onAsk = async (action: 'restore' | 'close'): Promise<void> => {
    const isFinal = action === 'close';
    const yes = await ask({
      title: t(isFinal ? 'bulk.closeTitle' : 'bulk.restoreTitle', { count }),
      text: (
        <>
          {t(isFinal ? 'bulk.closeText' : 'bulk.restoreText')}
          <Names of={chosen} />
        </>
      ),
      act: t(isFinal ? 'bulk.close' : 'bulk.restore'),
      ...(isFinal ? { type: String(count) } : { harmless: true }),
    });
    if (yes) bulk.send({ action });
  };
  const button = (name: 'plan' | 'suspend' | 'restore' | 'close', press: () => void): ReactNode => (
    <Button
      key={name}
      size="compact-xs"
      variant={name === 'close' ? 'light' : 'default'}
      {...(name === 'close' ? { color: 'red' } : {})}
      loading={bulk.busy}
      onClick={press}
    >
      {t(`bulk.${name}`)}
    </Button>
  );
  const props = { chosen, close, busy: bulk.busy, send: (body: object) => bulk.send(body, close) };
  return {
    buttons: [
      button('plan', () => setOpen('plan')),
      button('suspend', () => setOpen('suspend')),
      button('restore', () => void onAsk('restore')),
      button('close', () => void onAsk('close')),
    ],
    dialogs: (
      <>
        {open === 'plan' && <PlanDialog {...props} />}
        {open === 'suspend' && <SuspendDialog {...props} />}
        {bulk.failures}
      </>
    ),
  };
}

interface DialogProps {
  readonly chosen: readonly Account[];
  readonly close: () => void;
  readonly busy: boolean;
  readonly send: (body: object) => void;
}

function PlanDialog({ chosen, close, busy, send }: DialogProps): ReactNode {
  const { t } = useTranslation('lists');
  const [plan, setPlan] = useState<string | null>(null);
  return (
    <FormDialog
      opened
      onClose={close}
      title={t('bulk.planTitle', { count: chosen.length })}
      act={t('bulk.plan')}
      busy={busy}
      send={() => {
        if (plan !== null) send({ action: 'plan', plan });
      }}
    >
      <PlanChoice label={t('operator:accounts.plan')} value={plan} onChange={setPlan} required />
      <Names of={chosen} />
    </FormDialog>
  );
}

function SuspendDialog({ chosen, close, busy, send }: DialogProps): ReactNode {
  const { t } = useTranslation('lists');
  const [reason, setReason] = useState('');
  const [until, setUntil] = useState<string | null>(null);
  return (
    <FormDialog
      opened
      onClose={close}
      title={t('bulk.suspendTitle', { count: chosen.length })}
      act={t('bulk.suspend')}
      grave
      busy={busy}
      send={() => send({ action: 'suspend', reason, endsAt: until })}
    >
      <Textarea
        label={t('operator:suspensions.reason')}
        description={t('operator:suspensions.reasonHint')}
        value={reason}
        onChange={(event) => setReason(event.currentTarget.value)}
        maxLength={2000}
        autosize
        required
        data-autofocus
      />
      <MomentInput
        label={t('operator:suspensions.until')}
        hint={t('operator:suspensions.untilHint')}
        value={until}
        onChange={setUntil}
      />
      <Names of={chosen} />
    </FormDialog>
  );
}
