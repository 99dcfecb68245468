// Edits the terms of a plan, only if no one else has changed it; and previews whether a call would be allowed.
import { Alert, Button, Paper, Select, SimpleGrid, Skeleton, Stack, Textarea, Title } from '@mantine/core';
import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useParams } from 'wouter';
import { api, faultOf, Problem, useAct } from '../api.ts';
import type { Plan } from '../api-types.ts';
import { useSession } from '../session.tsx';
import { useAsk } from '../shell/ask.tsx';
import { type Entered, NumberField } from '../shell/number-field.tsx';
import { Page } from '../shell/page.tsx';
import { useSeen } from '../shell/seen.ts';
import { Trouble } from '../shell/trouble.tsx';
import { useUnsaved } from '../shell/unsaved.ts';
import { isWindowed } from './plan-terms.ts';
import { PlanPreview } from './preview.tsx';

type Terms = Readonly<Record<string, unknown>>;

const groupOf = (name: string): 'rate' | 'call' | 'access' => {
  if (isWindowed(name) || /^concurrent|^queue/.test(name)) return 'rate';
  return /^(models|scopes|maxKeys|maxKeyDays)$/.test(name) ? 'access' : 'call';
};

export default function OnePlan(): ReactNode {
  const { name = '' } = useParams();
  const { t } = useTranslation('policy');
  const seen = useSeen<Plan>(`/plans/${name}`);
  return (
    <Page title={name} {...(seen.data ? { lead: t('plans.version', { version: seen.data.body.version }) } : {})}>
      {seen.error && <Trouble problem={seen.error} retry={() => void seen.refetch()} />}
      {seen.isPending && <Skeleton height={240} />}
      {seen.data && (
        <>
          <PlanPreview plan={name} />
          <Editor key={name} name={name} plan={seen.data.body} etag={seen.data.etag} again={seen.refetch} />
        </>
      )}
    </Page>
  );
}

function Editor(props: {
  readonly name: string;
  readonly plan: Plan;
  readonly etag: string | undefined;
  readonly again: () => Promise<unknown>;
}): ReactNode {
  const { t } = useTranslation('policy');
  const { operates } = useSession();
  const { name: _name, version: _version, ...given } = props.plan as unknown as Terms;
  const terms = given as Terms;
  const [changed, setChanged] = useState<Terms>({});
  /** Lists as they were typed. */
  const [texts, setTexts] = useState<Readonly<Record<string, string>>>({});
  const [stale, setStale] = useState(false);
  const set = (term: string, value: unknown): void => setChanged((before) => ({ ...before, [term]: value }));
  const save = useAct(
    async (sent: Terms) => {
      await api.patch(`/plans/${props.name}`, sent, props.etag === undefined ? {} : { etag: props.etag });
      await props.again();
      // What was typed meanwhile is still to be saved.
      setChanged((now) => Object.fromEntries(Object.entries(now).filter(([term, value]) => value !== sent[term])));
      setTexts({});
    },
    { done: t('plan.saved'), refresh: ['/plans', '/audit'], shows: (field) => field in terms },
  );
  const ask = useAsk();
  const isChanged = Object.entries(changed).some(
    ([term, value]) => JSON.stringify(value) !== JSON.stringify(terms[term]),
  );
  useUnsaved(isChanged, () => ask({ title: t('plan.leaveTitle'), text: t('plan.leaveText'), act: t('plan.leave') }));
  const valueOf = (term: string): unknown => (term in changed ? changed[term] : terms[term]);
  const field = (term: string): ReactNode => {
    const first = terms[term];
    const value = valueOf(term);
    const error = faultOf(save.error, term);
    if (Array.isArray(first))
      return (
        <Textarea
          key={term}
          label={t(`terms.${term}`)}
          description={`${term} · ${t('plan.list')}`}
          value={texts[term] ?? first.join(', ')}
          onChange={(event) => {
            const text = event.currentTarget.value;
            setTexts((before) => ({ ...before, [term]: text }));
            set(
              term,
              text.split(/[,\s]+/).filter((word) => word !== ''),
            );
          }}
          error={error}
          readOnly={!operates}
          autosize
        />
      );
    if (first === 'allow' || first === 'strip')
      return (
        <Select
          key={term}
          label={t(`terms.${term}`)}
          description={term}
          data={[
            { value: 'allow', label: t('plan.allow') },
            { value: 'strip', label: t('plan.strip') },
          ]}
          value={String(value)}
          onChange={(next) => set(term, next)}
          allowDeselect={false}
          error={error}
          readOnly={!operates}
        />
      );
    return (
      <NumberField
        key={term}
        label={t(`terms.${term}`)}
        description={term}
        placeholder={t('plan.empty')}
        value={value as Entered}
        onChange={(next) => set(term, next)}
        min={0}
        allowDecimal={term === 'queueWeight'}
        error={error}
        readOnly={!operates}
      />
    );
  };
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        save.mutate(changed, {
          onSuccess: () => setStale(false),
          onError: (error) => {
            if (!(error instanceof Problem) || error.status !== 412) return;
            setStale(true);
            void props.again();
          },
        });
      }}
    >
      <Stack>
        {stale && <Alert color="orange">{t('plan.changedMeanwhile')}</Alert>}
        {(['rate', 'call', 'access'] as const).map((group) => (
          <Paper key={group} withBorder p="md">
            <Title order={2} size="h4" mb="sm">
              {t(`plan.groups.${group}`)}
            </Title>
            <SimpleGrid cols={{ base: 1, sm: 2, lg: 3 }}>
              {Object.keys(terms)
                .filter((term) => groupOf(term) === group)
                .map(field)}
            </SimpleGrid>
          </Paper>
        ))}
        {operates && (
          <Button type="submit" w="fit-content" disabled={Object.keys(changed).length === 0} loading={save.isPending}>
            {t('plan.save')}
          </Button>
        )}
      </Stack>
    </form>
  );
}
