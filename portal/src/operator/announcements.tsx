// The announcements, and a form to create or change one.
import { Badge, Button, Group, Paper, Skeleton, Stack, Switch, Text, Textarea, Title } from '@mantine/core';
import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, useAct, useGet } from '../api.ts';
import type { Announcement, PageOf } from '../api-types.ts';
import { IconPlus, IconSpeakerphone } from '../icons.ts';
import { useSession } from '../session.tsx';
import { useAsk } from '../shell/ask.tsx';
import { Empty } from '../shell/empty.tsx';
import { FormDialog } from '../shell/form-dialog.tsx';
import { MomentInput } from '../shell/moment-input.tsx';
import { Trouble } from '../shell/trouble.tsx';
import { useWriting } from '../shell/when.ts';

const refreshed = ['/announcements', '/audit'];

export function Announcements(): ReactNode {
  const { t } = useTranslation('notices');
  const { operates } = useSession();
  const all = useGet<PageOf<Announcement>>('/announcements');
  const [editing, setEditing] = useState<Announcement | 'new'>();
  return (
    <Paper withBorder p="md">
      <Group justify="space-between" align="flex-start" mb="sm">
        <div>
          <Title order={2} size="h4" mb={4}>
            {t('announcements.title')}
          </Title>
          <Text size="sm" c="dimmed">
            {t('announcements.lead')}
          </Text>
        </div>
        {operates && (
          <Button leftSection={<IconPlus size={18} />} onClick={() => setEditing('new')}>
            {t('announcements.create')}
          </Button>
        )}
      </Group>
      {all.error && <Trouble problem={all.error} retry={() => void all.refetch()} />}
      {all.isPending && <Skeleton height={80} />}
      {all.data?.items.length === 0 && <Empty icon={<IconSpeakerphone size={28} />} text={t('announcements.empty')} />}
      <Stack gap="sm">
        {all.data?.items.map((each) => (
          <One key={each.id} announcement={each} edit={() => setEditing(each)} />
        ))}
      </Stack>
      {editing !== undefined && (
        <Form announcement={editing === 'new' ? undefined : editing} close={() => setEditing(undefined)} />
      )}
    </Paper>
  );
}

function One({ announcement, edit }: { readonly announcement: Announcement; readonly edit: () => void }): ReactNode {
  const { t } = useTranslation('notices');
  const { moment } = useWriting();
  const { operates, refresh } = useSession();
  const ask = useAsk();
  const { id, en, ja, from, until, header } = announcement;
  const remove = useAct(
    async () => {
      await api.delete(`/announcements/${id}`);
      await refresh();
    },
    { done: t('announcements.gone'), refresh: refreshed },
  );
  const now = Date.now();
  const state = Date.parse(from) > now ? 'later' : until !== null && Date.parse(until) <= now ? 'over' : 'shown';
  return (
    <Paper withBorder p="sm">
      <Group justify="space-between" align="flex-start">
        <Stack gap={4} flex={1} miw={200} style={{ overflowWrap: 'anywhere' }}>
          {en !== null && (
            <Text size="sm" lang="en">
              {en}
            </Text>
          )}
          {ja !== null && (
            <Text size="sm" lang="ja">
              {ja}
            </Text>
          )}
          <Group gap="xs">
            <Badge variant="light" color={state === 'shown' ? 'teal' : 'gray'}>
              {t(`announcements.state.${state}`)}
            </Badge>
            {header && <Badge variant="light">{t('announcements.inHeader')}</Badge>}
            <Text size="xs" c="dimmed">
              {until === null
                ? t('announcements.since', { from: moment(from) })
                : t('announcements.span', { from: moment(from), until: moment(until) })}
            </Text>
          </Group>
        </Stack>
        {operates && (
          <Group gap="xs">
            <Button size="compact-sm" variant="default" onClick={edit}>
              {t('announcements.change')}
            </Button>
            <Button
              size="compact-sm"
              variant="light"
              color="red"
              loading={remove.isPending}
              onClick={() =>
                void ask({
                  title: t('announcements.delete'),
                  text: t('announcements.deleteText'),
                  act: t('announcements.delete'),
                }).then((yes) => yes && remove.mutate(undefined))
              }
            >
              {t('announcements.delete')}
            </Button>
          </Group>
        )}
      </Group>
    </Paper>
  );
}

interface FormProps {
  readonly announcement: Announcement | undefined;
  readonly close: () => void;
}

function Form({ announcement, close }: FormProps): ReactNode {
  const { t } = useTranslation('notices');
  const { refresh } = useSession();
  const [en, setEn] = useState(announcement?.en ?? '');
  const [ja, setJa] = useState(announcement?.ja ?? '');
  const [from, setFrom] = useState(announcement?.from ?? null);
  const [until, setUntil] = useState(announcement?.until ?? null);
  const [header, setHeader] = useState(announcement?.header ?? false);
  const textOf = (text: string): string | null => (text.trim() === '' ? null : text.trim());
  const save = useAct(
    async () => {
      const fields = { en: textOf(en), ja: textOf(ja), until, header };
      const body = from === null || from === announcement?.from ? fields : { ...fields, from };
      if (announcement) await api.patch(`/announcements/${announcement.id}`, body);
      else await api.post('/announcements', body, { once: true });
      await refresh();
    },
    { done: t('announcements.saved'), refresh: refreshed },
  );
  return (
    <FormDialog
      opened
      onClose={close}
      title={t(announcement ? 'announcements.change' : 'announcements.create')}
      act={t('announcements.save')}
      busy={save.isPending}
      send={() => {
        save.mutate(undefined, { onSuccess: close });
      }}
    >
      <Textarea
        label={t('announcements.en')}
        value={en}
        onChange={(event) => setEn(event.currentTarget.value)}
        maxLength={500}
        autosize
        required={ja.trim() === ''}
        data-autofocus
      />
      <Textarea
        label={t('announcements.ja')}
        description={t('announcements.languagesHint')}
        value={ja}
        onChange={(event) => setJa(event.currentTarget.value)}
        maxLength={500}
        autosize
        required={en.trim() === ''}
      />
      <MomentInput label={t('announcements.from')} hint={t('announcements.fromHint')} value={from} onChange={setFrom} />
      <MomentInput
        label={t('announcements.until')}
        hint={t('announcements.untilHint')}
        value={until}
        onChange={setUntil}
      />
      <Switch
        label={t('announcements.header')}
        description={t('announcements.headerHint')}
        checked={header}
        onChange={(event) => setHeader(event.currentTarget.checked)}
      />
    </FormDialog>
  );
}
