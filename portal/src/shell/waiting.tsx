// How many applications and appeals wait for an operator, as badges on the navigation. Asked every few seconds, and after every change.
import { Badge, VisuallyHidden } from '@mantine/core';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { useGet } from '../api.ts';
import type { Waiting } from '../api-types.ts';
import { useSession } from '../session.tsx';

const everyMs = 10_000;

/** None for people who do not operate the gate. */
export function useWaiting(): Waiting & { readonly all: number } {
  const { reads } = useSession();
  const { data } = useGet<Waiting>('/waiting', {}, everyMs, reads);
  const { applications, appeals } = (reads ? data : undefined) ?? { applications: 0, appeals: 0 };
  return { applications, appeals, all: applications + appeals };
}

const entries: Readonly<Record<string, keyof Waiting>> = {
  '/operate/applications': 'applications',
  '/operate/suspensions': 'appeals',
};

/** Of the entry of the navigation with this path. */
export function WaitingBadge({ path }: { readonly path: string }): ReactNode {
  const { t } = useTranslation('lists');
  const waiting = useWaiting();
  const what = entries[path];
  if (what === undefined || waiting[what] === 0) return null;
  const count = waiting[what];
  return (
    <>
      <Badge size="sm" circle={count < 10} color="vermilion" aria-hidden>
        {count > 999 ? '999+' : count}
      </Badge>
      <VisuallyHidden>{t(`waiting.${what}`, { count })}</VisuallyHidden>
    </>
  );
}
