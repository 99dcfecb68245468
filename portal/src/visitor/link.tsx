// A page for a one-time link. The link is checked before anything is typed, and an invalid one is reported.
import { Button, Skeleton } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'wouter';
import { api, Problem, wordsOf } from '../api.ts';
import { IconLinkOff } from '../icons.ts';
import { Empty } from '../shell/empty.tsx';
import { linkCode } from './form.tsx';

export interface LinkedProps {
  readonly purpose: 'setup' | 'password' | 'confirm';
  readonly children: (code: string) => ReactNode;
}

export function Linked({ purpose, children }: LinkedProps): ReactNode {
  const { t } = useTranslation('visitor');
  const [code] = useState(linkCode);
  const look = useQuery({
    queryKey: ['link', purpose, code],
    queryFn: () => api.post('/links/look', { code, purpose }).then(() => true),
    enabled: code !== '',
    // The form stays while it is filled in, even when submitting it uses up the link.
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 0,
    retry: false,
    refetchOnWindowFocus: false,
    refetchOnReconnect: false,
  });
  if (code === '') return <Empty icon={<IconLinkOff size={28} />} text={t('setup.missing')} />;
  if (look.isPending) return <Skeleton height={200} />;
  const { error } = look;
  if (error instanceof Problem && error.status === 403)
    return (
      <Empty
        icon={<IconLinkOff size={28} />}
        text={`${wordsOf(error)} ${t(`deadLink.${purpose}`)}`}
        action={
          <Button component={Link} href="/sign-in" variant="default">
            {t('signIn.title')}
          </Button>
        }
      />
    );
  // If the check fails, the form is shown, and submitting it reports an invalid link.
  return children(code);
}
