// Asks for confirmation before an action with consequences: `const ask = useAsk(); if (await ask({title, text, act})) …`.
import { Button, Group, Stack, Text, TextInput } from '@mantine/core';
import { createContext, type FormEvent, type ReactNode, useCallback, useContext, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Dialog } from './dialog.tsx';

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
  const [question, setQuestion] = useState<Question>();
  const [open, setOpen] = useState(false);
  const [typed, setTyped] = useState('');
  const answer = useRef<(yes: boolean) => void>(undefined);
  const end = useCallback((yes: boolean): void => {
    answer.current?.(yes);
    answer.current = undefined;
    setOpen(false);
  }, []);
  const ask = useCallback<Ask>(
    (asked) =>
      new Promise((resolve) => {
        // A new question takes the place of one that is open, which nobody can answer any more.
        answer.current?.(false);
        answer.current = resolve;
        setTyped('');
        setQuestion(asked);
        setOpen(true);
      }),
    [],
  );
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    end(true);
  };
  return (
    <Context.Provider value={ask}>
      {children}
      <Dialog opened={open} onClose={() => end(false)} title={question?.title} centered>
        <Stack component="form" onSubmit={submit}>
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
              type="submit"
            >
              {question?.act}
            </Button>
          </Group>
        </Stack>
      </Dialog>
    </Context.Provider>
  );
}
