// All suspensions, newest first, with appeals to answer, and a form for a manual one.
import { Button, Select, Skeleton, Switch, Textarea } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, useAct, usePages } from '../api.ts';
import type { SuspensionRow } from '../api-types.ts';
import { IconGavel } from '../icons.ts';
import { useSession } from '../session.tsx';
import { useChosen } from '../shell/address.ts';
import { Empty } from '../shell/empty.tsx';
import { FormDialog } from '../shell/form-dialog.tsx';
import { MomentInput } from '../shell/moment-input.tsx';
import { More } from '../shell/more.tsx';
import { Page } from '../shell/page.tsx';
import { AccountOrKeyPicker } from '../shell/picker.tsx';
import { Trouble } from '../shell/trouble.tsx';
import { Steps } from './steps.tsx';

export default function Suspensions(): ReactNode {
  const { t } = useTranslation('operator');
  const { operates } = useSession();
  const { rows, query } = usePages<SuspensionRow>('/suspensions');
  const [tried, setTried] = useChosen('shadow');
  const shadow = tried === 'yes';
  const shown = rows.filter((step) => shadow || !step.shadow);
  // Open appeals come first.
  const waiting = shown.filter(({ appeal, answer }) => appeal !== null && answer === null);
  const others = shown.filter((step) => !waiting.includes(step));
  return (
    <Page title={t('suspensions.title')} help="ladder" lead={t('suspensions.lead')} actions={operates && <NewStep />}>
      <Switch
        label={t('suspensions.showShadow')}
        checked={shadow}
        onChange={(event) => setTried(event.currentTarget.checked ? 'yes' : '')}
      />
      {query.error && <Trouble problem={query.error} retry={() => void query.refetch()} />}
      {query.isPending && <Skeleton height={160} />}
      {query.data !== undefined && shown.length === 0 && (
        <Empty icon={<IconGavel size={28} />} text={t('suspensions.empty')} />
      )}
      <Steps steps={[...waiting, ...others]} whose />
      <More query={query} />
    </Page>
  );
}

const byHand = ['warn', 'slow', 'back', 'suspend', 'review'] as const;

function NewStep(): ReactNode {
  const { t } = useTranslation('operator');
  const [open, { open: show, close }] = useDisclosure();
  const [whom, setWhom] = useState('');
  const [step, setStep] = useState<string>('suspend');
  const [reason, setReason] = useState('');
  const [until, setUntil] = useState<string | null>(null);
  const take = useAct(() => api.post('/suspensions', { whom, step, reason, endsAt: until }, { once: true }), {
    done: t('suspensions.taken'),
    refresh: ['/suspensions', '/accounts'],
  });
  return (
    <>
      <Button leftSection={<IconGavel size={18} />} onClick={show}>
        {t('suspensions.create')}
      </Button>
      <FormDialog
        opened={open}
        onClose={close}
        title={t('suspensions.create')}
        act={t('suspensions.take')}
        grave
        busy={take.isPending}
        send={() => {
          take.mutate(undefined, { onSuccess: close });
        }}
      >
        <AccountOrKeyPicker label={t('suspensions.whom')} value={whom} onChange={setWhom} required autoFocus />
        <Select
          label={t('suspensions.step')}
          data={byHand.map((value) => ({ value, label: t(`suspensions.steps.${value}`) }))}
          value={step}
          onChange={(value) => setStep(value ?? 'suspend')}
          allowDeselect={false}
        />
        <Textarea
          label={t('suspensions.reason')}
          description={t('suspensions.reasonHint')}
          value={reason}
          onChange={(event) => setReason(event.currentTarget.value)}
          maxLength={2000}
          autosize
          required
        />
        <MomentInput
          label={t('suspensions.until')}
          hint={t('suspensions.untilHint')}
          value={until}
          onChange={setUntil}
        />
      </FormDialog>
    </>
  );
}
