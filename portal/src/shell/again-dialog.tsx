// The dialog for signing in again. The page behind it stays unchanged, with everything that was typed; the request that needed the
// sign-in continues afterwards.
import { Center, Loader, Stack, Text } from '@mantine/core';
import { lazy, type ReactNode, Suspense, useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useLocation } from 'wouter';
import { api } from '../api.ts';
import type { Session } from '../api-types.ts';
import { useSession } from '../session.tsx';
import { answerSignIns, type Why } from './again.ts';
import { Dialog } from './dialog.tsx';

const Form = lazy(async () => ({ default: (await import('../visitor/sign-in-form.tsx')).SignInForm }));

interface Asked {
  readonly why: Why;
  readonly answer: (signedIn: boolean) => void;
}

export function AgainDialog(): ReactNode {
  const { t } = useTranslation('shell');
  const { session, refresh } = useSession();
  const [location] = useLocation();
  const [asked, setAsked] = useState<Asked>();
  const { person } = session;
  const isHere = person !== null;
  useEffect(() => {
    answerSignIns(isHere ? (why) => new Promise((answer) => setAsked({ why, answer })) : undefined);
    return () => answerSignIns(undefined);
  }, [isHere]);
  const end = (signedIn: boolean): void => {
    asked?.answer(signedIn);
    setAsked(undefined);
  };
  const entered = async (): Promise<void> => {
    const now = await api.get<Session>('/session');
    // Another person signed in, and must not see this page's data.
    if (now.person?.id !== person?.id) window.location.assign('/portal/');
    else {
      end(true);
      await refresh();
    }
  };
  const declined = (): void => {
    const isOver = asked?.why === 'over';
    end(false);
    // No one is signed in, so there is nothing to return to.
    if (isOver) void refresh();
  };
  return (
    <Dialog
      opened={asked !== undefined}
      onClose={declined}
      title={t(`again.${asked?.why ?? 'over'}.title`)}
      closeOnClickOutside={false}
      // Above the dialog in which the person was typing.
      zIndex={300}
    >
      <Stack>
        <Text size="sm">{t(`again.${asked?.why ?? 'over'}.text`)}</Text>
        <Suspense
          fallback={
            <Center mih={120}>
              <Loader aria-label={t('loading')} />
            </Center>
          }
        >
          <Form known={person?.email} back={`/portal${location}`} entered={entered} />
        </Suspense>
      </Stack>
    </Dialog>
  );
}
