// Sends an action on several things as one request, and tells exactly what became of it: for how many it was done, and for which
// it was not, and why. Those stay chosen.
import { Alert, Button, Group, Stack, Text } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { api, useAct } from '../api.ts';
import type { BulkResult } from '../api-types.ts';
import type { Language } from '../words.ts';
import { Dialog } from './dialog.tsx';
import type { Selectable, Selection } from './selection.tsx';

interface Failure extends Selectable {
  readonly why: string;
}

export interface Bulk {
  readonly busy: boolean;
  /** `body`: without the ids. `done`: afterwards, if nothing went wrong with the request itself. */
  readonly send: (body: object, done?: () => void) => void;
  /** What was not done; to be placed on the page. */
  readonly failures: ReactNode;
}

export function useBulk<T extends Selectable>(
  path: string,
  { chosen, set }: Selection<T>,
  refresh: readonly string[],
): Bulk {
  const { t } = useTranslation('lists');
  const [failed, setFailed] = useState<readonly Failure[]>([]);
  const act = useAct(
    async ({ body, things }: { body: object; things: readonly T[] }) => {
      const ids = things.map(({ id }) => id);
      const { items } = await api.post<BulkResult>(path, { ...body, ids });
      return Promise.all(
        items.map(async ({ id, problem }) => ({
          id,
          name: things.find((each) => each.id === id)?.name ?? id,
          why: problem === null ? undefined : await whyOf(problem, t('bulk.unknown')),
        })),
      );
    },
    { refresh },
  );
  return {
    busy: act.isPending,
    send: (body, done) => {
      const sent = { body, things: [...chosen] };
      act.mutate(sent, {
        onSuccess: (results) => {
          const failures = results.flatMap(({ why, ...thing }) => (why === undefined ? [] : [{ ...thing, why }]));
          set(failures.map(({ id }) => id));
          setFailed(failures);
          const count = results.length - failures.length;
          if (count > 0) notifications.show({ message: t('bulk.done', { count }), color: 'teal' });
          done?.();
        },
      });
    },
    failures: <Failures failed={failed} close={() => setFailed([])} />,
  };
}

async function whyOf(problem: NonNullable<BulkResult['items'][number]['problem']>, otherwise: string): Promise<string> {
  const [{ reasonIn, codeIn }, { i18n }] = await Promise.all([import('../refusals.ts'), import('../words.ts')]);
  const language = i18n.language as Language;
  const { reason, parameters, code } = problem;
  return reasonIn({ reason, parameters }, language) ?? codeIn(code, language) ?? otherwise;
}

function Failures({ failed, close }: { readonly failed: readonly Failure[]; readonly close: () => void }): ReactNode {
  const { t } = useTranslation('lists');
  return (
    <Dialog opened={failed.length > 0} onClose={close} title={t('bulk.failedTitle', { count: failed.length })}>
      <Stack>
        <Text size="sm">{t('bulk.failedText')}</Text>
        {failed.map(({ id, name, why }) => (
          <Alert key={id} color="red" title={name === '' ? id : name} style={{ overflowWrap: 'anywhere' }}>
            {why}
          </Alert>
        ))}
        <Group justify="flex-end">
          <Button variant="default" onClick={close} data-autofocus>
            {t('shell:close')}
          </Button>
        </Group>
      </Stack>
    </Dialog>
  );
}
