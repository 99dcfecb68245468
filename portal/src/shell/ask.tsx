// Asks for confirmation before an action with consequences: `const ask = useAsk(); if (await ask({title, text, act})) …`.
import { Button, Group, Modal, Stack, Text, TextInput } from '@mantine/core';
import { createContext, type ReactNode, useCallback, useContext, useState } from 'react';
import { useTranslation } from 'react-i18next';

export interface Question {
  readonly title: string;
  /** What will happen. */
  readonly text: ReactNode;
  /** The label of the button. */
  readonly act: string;
  readonly harmless?: boolean;
  /** Must be typed first if the action cannot be undone. */
  readonly type?: string;
}

type Ask = (question: Question) => Promise<boolean>;

const Context = createContext<Ask>(() => Promise.resolve(false));

export const useAsk = (): Ask => useContext(Context);

export function AskProvider({ children }: { readonly children: ReactNode }): ReactNode {
  const { t } = useTranslation('shell');
  const [asked, setAsked] = useState<{ question: Question; answer: (yes: boolean) => void }>();
  const [open, setOpen] = useState(false);
  const [typed, setTyped] = useState('');
  const ask = useCallback<Ask>(
    (question) =>
      new Promise((resolve) => {
        setTyped('');
        setAsked({ question, answer: resolve });
        setOpen(true);
      }),
    [],
  );
  const end = (yes: boolean): void => {
    asked?.answer(yes);
    setOpen(false);
  };
  const question = asked?.question;
  return (
    <Context.Provider value={ask}>
      {children}
      <Modal
        opened={open}
        onClose={() => end(false)}
        title={question?.title}
        centered
        closeButtonProps={{ 'aria-label': t('close') }}
      >
        <Stack>
          <Text size="sm" component="div">
            {question?.text}
          </Text>
          {question?.type !== undefined && (
            <TextInput
              label={t('typeIt', { word: question.type })}
              value={typed}
              onChange={(event) => setTyped(event.currentTarget.value)}
              autoComplete="off"
            />
          )}
          <Group justify="flex-end">
            <Button variant="default" onClick={() => end(false)} data-autofocus>
              {t('cancel')}
            </Button>
            <Button
              {...(question?.harmless === true ? {} : { color: 'red' })}
              disabled={question?.type !== undefined && typed !== question.type}
              onClick={() => end(true)}
            >
              {question?.act}
            </Button>
          </Group>
        </Stack>
      </Modal>
    </Context.Provider>
  );
}
