// Shared parts of the visitor forms: a field for a new password, the error of a request, and the code of a one-time link.
import { Alert, PasswordInput, Text } from '@mantine/core';
import type { FormEvent, ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { wordsOf } from '../api.ts';
import { IconAlertTriangle } from '../icons.ts';

export function NewPassword(props: {
  readonly label: string;
  readonly hint?: string;
  readonly value: string;
  readonly onChange: (value: string) => void;
}): ReactNode {
  const { t } = useTranslation('visitor');
  const length = Array.from(props.value).length;
  return (
    <PasswordInput
      label={props.label}
      description={props.hint}
      value={props.value}
      onChange={(event) => props.onChange(event.currentTarget.value)}
      autoComplete="new-password"
      minLength={8}
      required
      inputWrapperOrder={['label', 'description', 'input', 'error']}
      error={length > 0 && length < 8 ? t('short') : undefined}
    />
  );
}

/** A sentence, or the message of `error`. */
export function Against({
  error,
  children,
}: {
  readonly error?: Error | null | undefined;
  readonly children?: string | undefined;
}): ReactNode {
  const text = children ?? (error ? wordsOf(error) : '');
  if (text === '') return null;
  return (
    <Alert color="red" role="alert" icon={<IconAlertTriangle size={18} />} py="xs">
      <Text size="sm">{text}</Text>
    </Alert>
  );
}

/** The fragment of the page's address, which browsers do not send. */
export const linkCode = (): string => window.location.hash.slice(1);

/** Prevents the browser from submitting the form itself. */
export const sending =
  (act: () => void) =>
  (event: FormEvent): void => {
    event.preventDefault();
    act();
  };
