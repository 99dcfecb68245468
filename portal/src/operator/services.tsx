// Published services with their address and the state of their servers. Operators add, change and remove those that are not in the
// routes file, in the same JSON format.
import { Badge, Button, Code, Group, Paper, Skeleton, Stack, Text, Textarea, TextInput, Title } from '@mantine/core';
import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, faultOf, Problem, useAct, useGet } from '../api.ts';
import type { PageOf, Route } from '../api-types.ts';
import { IconPlugConnected, IconPlus } from '../icons.ts';
import { reasonIn } from '../refusals.ts';
import { useSession } from '../session.tsx';
import { useAsk } from '../shell/ask.tsx';
import { useCause } from '../shell/cause.ts';
import { Empty } from '../shell/empty.tsx';
import { FormDialog } from '../shell/form-dialog.tsx';
import { Page } from '../shell/page.tsx';
import { Trouble } from '../shell/trouble.tsx';
import { useWriting } from '../shell/when.ts';
import type { Language } from '../words.ts';

const stateSeconds = 5;

export default function Services(): ReactNode {
  const { t } = useTranslation('operator');
  const { operates } = useSession();
  const routes = useGet<PageOf<Route>>('/routes', {}, stateSeconds * 1000);
  return (
    <Page title={t('services.title')} help="services" lead={t('services.lead')} actions={operates && <ServiceForm />}>
      {routes.error && <Trouble problem={routes.error} retry={() => void routes.refetch()} />}
      {routes.isPending && <Skeleton height={160} />}
      {routes.data?.items.length === 0 && (
        <Empty icon={<IconPlugConnected size={28} />} text={t(operates ? 'services.empty' : 'services.noneSeen')} />
      )}
      <Stack gap="sm">
        {routes.data?.items.map((route) => (
          <One key={route.name} route={route} />
        ))}
      </Stack>
    </Page>
  );
}

const colors = { published: 'teal', unusable: 'red', unknown: 'gray', up: 'teal', doubtful: 'yellow', down: 'red' };

function One({ route }: { readonly route: Route }): ReactNode {
  const { t, i18n } = useTranslation('operator');
  const { operates } = useSession();
  const { relative } = useWriting();
  const inWords = useCause();
  const ask = useAsk();
  const [editing, setEditing] = useState(false);
  const remove = useAct(() => api.delete(`/routes/${route.name}`), {
    done: t('services.removed'),
    refresh: ['/routes', '/audit'],
  });
  const said = route.said === null ? undefined : reasonIn(route.said, i18n.language as Language);
  const { path, hostName, scope } = route.options;
  const onRemove = async (): Promise<void> => {
    const question = {
      title: t('services.removeTitle', { name: route.name }),
      text: t('services.removeText'),
      act: t('services.remove'),
    };
    if (await ask(question)) remove.mutate(undefined);
  };
  return (
    <Paper withBorder p="md">
      <Stack gap="xs">
        <Group gap="sm">
          <Title order={2} size="h5">
            {route.name}
          </Title>
          <Badge color={colors[route.state]} variant="light">
            {t(`services.state.${route.state}`)}
          </Badge>
        </Group>
        {route.reason !== null && <Text size="sm">{said ?? inWords(route.reason)}</Text>}
        <Text size="sm">
          {t('services.where', {
            at: textIn(path) ?? textIn(hostName) ?? '',
            scope: textIn(scope) ?? `route:${route.name}`,
          })}
        </Text>
        {route.servers.map(({ address, state, since, reason, inFlight }) => (
          <Group key={address} gap="xs">
            <Code>{address}</Code>
            <Badge color={colors[state]} variant="dot">
              {t(`services.server.${state}`)}
            </Badge>
            <Text size="sm" c="dimmed">
              {t('overview.inFlight', { count: inFlight })}
              {reason !== null && ` · ${t('overview.serverSince', { when: relative(since), reason: inWords(reason) })}`}
            </Text>
          </Group>
        ))}
        {route.fixed && (
          <Text size="sm" c="dimmed">
            {t('services.fixed')}
          </Text>
        )}
        {operates && !route.fixed && (
          <Group>
            <Button size="compact-sm" variant="default" onClick={() => setEditing(true)}>
              {t('services.edit')}
            </Button>
            <Button size="compact-sm" variant="light" color="red" onClick={() => void onRemove()}>
              {t('services.remove')}
            </Button>
          </Group>
        )}
      </Stack>
      {editing && <ServiceForm route={route} close={() => setEditing(false)} />}
    </Paper>
  );
}

const textIn = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);

const sample = { path: '/service', upstreams: ['http://127.0.0.1:8000'], methods: ['GET', 'HEAD', 'POST'] };

/** Open if a route is given; otherwise it has a button. */
function ServiceForm({ route, close }: { readonly route?: Route; readonly close?: () => void }): ReactNode {
  const { t } = useTranslation('operator');
  const [open, setOpen] = useState(route !== undefined);
  const [name, setName] = useState(route?.name ?? '');
  const [text, setText] = useState(JSON.stringify(route?.options ?? sample, null, 2));
  const options = objectIn(text);
  const end = (): void => {
    setOpen(false);
    close?.();
  };
  const save = useAct(
    () =>
      route
        ? api.patch(`/routes/${route.name}`, { ...options, name })
        : api.post('/routes', { ...options, name }, { once: true }),
    { done: t(route ? 'services.saved' : 'services.made'), refresh: ['/routes', '/audit'], shows: () => true },
  );
  const inOptions =
    save.error instanceof Problem ? Object.entries(save.error.fields).filter(([field]) => field !== 'name') : [];
  return (
    <>
      {!route && (
        <Button leftSection={<IconPlus size={18} />} onClick={() => setOpen(true)}>
          {t('services.create')}
        </Button>
      )}
      <FormDialog
        opened={open}
        onClose={end}
        title={t(route ? 'services.edit' : 'services.create')}
        act={t('services.save')}
        busy={save.isPending}
        send={() => {
          if (options) save.mutate(undefined, { onSuccess: end });
        }}
      >
        <TextInput
          label={t('services.name')}
          description={t('services.nameHint')}
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
          maxLength={40}
          error={faultOf(save.error, 'name')}
          required
          data-autofocus
        />
        <Textarea
          label={t('services.options')}
          description={t('services.optionsHint')}
          value={text}
          onChange={(event) => setText(event.currentTarget.value)}
          error={options ? inOptions.map(([, fault]) => fault).join(' ') : t('services.notJson')}
          autosize
          minRows={8}
          maxRows={20}
          styles={{ input: { fontFamily: 'monospace' } }}
          spellCheck={false}
        />
      </FormDialog>
    </>
  );
}

/** Undefined if it is not a JSON object. */
function objectIn(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}
