// A page that a one-time link opens: the link is looked at before anything is typed, and one that opens nothing says so.
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
    // What is shown stays while somebody fills it in, also when they send it and the link is used up by that.
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
  // Where it cannot be looked at, the form is sent as before and answers by itself.
  return children(code);
}
