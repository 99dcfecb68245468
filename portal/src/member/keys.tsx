// The keys of a member, with their last use: create, edit, rotate and revoke.
import { Badge, Button, Group, Paper, Select, Skeleton, Stack, Switch, Text } from '@mantine/core';
import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, useAct, usePages } from '../api.ts';
import type { Key, KeyWithSecret } from '../api-types.ts';
import { IconKey } from '../icons.ts';
import { useSession } from '../session.tsx';
import { useAsk } from '../shell/ask.tsx';
import { Dialog } from '../shell/dialog.tsx';
import { Empty } from '../shell/empty.tsx';
import { More } from '../shell/more.tsx';
import { Named } from '../shell/named.tsx';
import { Page } from '../shell/page.tsx';
import { Trouble } from '../shell/trouble.tsx';
import { useWriting } from '../shell/when.ts';
import { NewKey, Secret } from './new-key.tsx';

const works = ({ status, expiresAt }: Key): boolean =>
  status === 'active' && (expiresAt === null || new Date(expiresAt) > new Date());

export default function Keys(): ReactNode {
  const { t } = useTranslation('member');
  const { view } = useSession().session;
  const { rows, query } = usePages<Key>('/me/keys');
  const [old, setOld] = useState(false);
  const [made, setMade] = useState<KeyWithSecret>();
  const shown = rows.filter((key) => old || works(key)).toReversed();
  return (
    <Page
      title={t('keys.title')}
      help="keys"
      {...(view ? {} : { lead: t('keys.lead') })}
      actions={<NewKey made={setMade} />}
    >
      {query.error && <Trouble problem={query.error} retry={() => void query.refetch()} />}
      {query.isPending && <Skeleton height={120} />}
      {query.data !== undefined && shown.length === 0 && (
        <Empty
          icon={<IconKey size={28} />}
          text={t(view ? 'keys.noneSeen' : 'keys.empty')}
          action={<NewKey made={setMade} />}
        />
      )}
      <Stack gap="sm">
        {shown.map((key) => (
          <OneKey key={key.id} item={key} made={setMade} />
        ))}
      </Stack>
      <Group justify="space-between">
        <Switch label={t('keys.old')} checked={old} onChange={(event) => setOld(event.currentTarget.checked)} />
        <More query={query} />
      </Group>
      <Secret made={made} done={() => setMade(undefined)} />
    </Page>
  );
}

function OneKey({ item, made }: { readonly item: Key; readonly made: (key: KeyWithSecret) => void }): ReactNode {
  const { t } = useTranslation('member');
  const { moment, relative } = useWriting();
  const ask = useAsk();
  const [rotating, setRotating] = useState(false);
  const refresh = ['/me/keys'];
  const revoke = useAct(() => api.post(`/me/keys/${item.id}/revoke`), { done: t('keys.revoked'), refresh });
  const alive = works(item);
  const { view } = useSession().session;
  const state = alive ? 'active' : item.status === 'revoked' ? 'revoked' : 'expired';
  const narrowed = [...item.models.filter((model) => model !== '*'), ...item.cidr];
  return (
    <Paper withBorder p="md">
      <Group justify="space-between" align="flex-start" gap="sm">
        <Stack gap={2} maw="100%">
          <Group gap="xs">
            <Text fw={600} component="div">
              <Named id={item.id} name={item.name} />
            </Text>
            <Badge variant="light" color={alive ? 'teal' : 'gray'}>
              {t(`keys.status.${state}`)}
            </Badge>
          </Group>
          <Text size="sm" c="dimmed">
            {[
              item.lastUsedAt === null ? t('keys.never') : t('keys.lastUsed', { when: relative(item.lastUsedAt) }),
              t('keys.created', { when: moment(item.createdAt) }),
              item.expiresAt === null || !alive ? '' : t('keys.ends', { when: moment(item.expiresAt) }),
            ]
              .filter((part) => part !== '')
              .join(' · ')}
          </Text>
          {narrowed.length > 0 && (
            <Group gap={4}>
              {narrowed.map((rule) => (
                <Badge key={rule} variant="default" tt="none">
                  {rule}
                </Badge>
              ))}
            </Group>
          )}
        </Stack>
        {alive && !view && (
          <Group gap="xs">
            {item.kind === 'secret' && (
              <Button size="xs" variant="default" onClick={() => setRotating(true)}>
                {t('keys.rotate')}
              </Button>
            )}
            <Button
              size="xs"
              variant="light"
              color="red"
              loading={revoke.isPending}
              onClick={() =>
                void ask({
                  title: t('keys.revokeTitle', { name: item.name }),
                  text: t('keys.revokeText'),
                  act: t('keys.revoke'),
                }).then((yes) => {
                  if (yes) revoke.mutate(undefined);
                })
              }
            >
              {t('keys.revoke')}
            </Button>
          </Group>
        )}
      </Group>
      <Rotation item={item} opened={rotating} close={() => setRotating(false)} made={made} />
    </Paper>
  );
}

const overlaps = ['0', '3600', '86400', '604800'] as const;

function Rotation(props: {
  readonly item: Key;
  readonly opened: boolean;
  readonly close: () => void;
  readonly made: (key: KeyWithSecret) => void;
}): ReactNode {
  const { t } = useTranslation('member');
  const [overlap, setOverlap] = useState<string>('86400');
  const rotate = useAct(
    () =>
      api.post<KeyWithSecret>(`/me/keys/${props.item.id}/rotate`, { graceSeconds: Number(overlap) }, { once: true }),
    { refresh: ['/me/keys'] },
  );
  return (
    <Dialog opened={props.opened} onClose={props.close} title={t('keys.rotateTitle', { name: props.item.name })}>
      <Stack>
        <Select
          label={t('keys.rotateText')}
          data={overlaps.map((value) => ({ value, label: t(`keys.overlap.${value}`) }))}
          value={overlap}
          onChange={(value) => setOverlap(value ?? '0')}
          allowDeselect={false}
        />
        <Group justify="flex-end">
          <Button
            loading={rotate.isPending}
            onClick={() =>
              rotate.mutate(undefined, {
                onSuccess: (key) => {
                  props.close();
                  props.made(key);
                },
              })
            }
          >
            {t('keys.rotate')}
          </Button>
        </Group>
      </Stack>
    </Dialog>
  );
}
