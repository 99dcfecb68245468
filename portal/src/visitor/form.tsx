// What the forms at the door share: a field for a new password, what was against a request, and the code of a one-time link.
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

/** A sentence, or what `error` comes to in words. */
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

/** What stands behind the # of this page's address; browsers keep it to themselves. */
export const linkCode = (): string => window.location.hash.slice(1);

/** Keeps the browser from sending the form by itself. */
export const sending =
  (act: () => void) =>
  (event: FormEvent): void => {
    event.preventDefault();
    act();
  };
