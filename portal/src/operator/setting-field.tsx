// One setting as a field, by its kind. What the file or the environment sets is shown and cannot be changed.
import { Button, FileInput, Group, PasswordInput, Select, Stack, Text, Textarea, TextInput } from '@mantine/core';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import type { Setting } from '../api-types.ts';
import { type Entered, NumberField } from '../shell/number-field.tsx';

export interface SettingFieldProps {
  readonly setting: Setting;
  /** What was typed; undefined: nothing yet; null: the default again. */
  readonly typed: unknown;
  readonly onChange: (value: unknown) => void;
  readonly readOnly: boolean;
  /** What the gateway says against what was typed. */
  readonly fault: string | undefined;
}

export function SettingField({ setting, typed, onChange, readOnly, fault }: SettingFieldProps): ReactNode {
  const { t } = useTranslation('settings');
  const { name, source, fixedBy, problem } = setting;
  const isFixed = source === 'fixed';
  const notes = [
    t(`hints.${name}`, { defaultValue: '' }),
    isFixed ? t('fixed', { by: fixedBy }) : '',
    typed === null ? t('willReset') : '',
  ];
  const unit = t(`units.${setting.unit}`, { defaultValue: '' });
  const label = t(`names.${name}`);
  const common = {
    label: unit === '' ? label : t('withUnit', { label, unit }),
    description: notes.filter((note) => note !== '').join(' '),
    readOnly: readOnly || isFixed,
    error: fault ?? (problem === null || typed !== undefined ? undefined : t('unusable')),
  };
  const canReset = source === 'stored' && typed !== null && !readOnly;
  return (
    <Stack gap={4}>
      <Input setting={setting} typed={typed} onChange={onChange} common={common} />
      {(canReset || typed !== undefined) && (
        <Group gap="xs">
          {canReset && (
            <Button size="compact-xs" variant="subtle" onClick={() => onChange(null)}>
              {t(setting.kind === 'secret' ? 'remove' : 'reset')}
            </Button>
          )}
          {typed !== undefined && (
            <Button size="compact-xs" variant="subtle" onClick={() => onChange(undefined)}>
              {t('keep')}
            </Button>
          )}
        </Group>
      )}
    </Stack>
  );
}

interface Common {
  readonly label: string;
  readonly description: string;
  readonly readOnly: boolean;
  readonly error: string | undefined;
}

function Input(props: Omit<SettingFieldProps, 'readOnly' | 'fault'> & { readonly common: Common }): ReactNode {
  const { t } = useTranslation('settings');
  const { setting, typed, onChange, common } = props;
  const value = typed === undefined ? setting.value : typed === null ? setting.default : typed;
  switch (setting.kind) {
    case 'secret':
      return (
        <PasswordInput
          {...common}
          placeholder={setting.isSet === true && typed !== null ? t('isSet') : t('notSet')}
          value={typeof typed === 'string' ? typed : ''}
          onChange={(event) => onChange(event.currentTarget.value === '' ? undefined : event.currentTarget.value)}
          autoComplete="new-password"
        />
      );
    case 'choice':
      return (
        <Select
          {...common}
          data={(setting.choices ?? []).map((choice) => ({ value: choice, label: t(`choices.${choice}`) }))}
          value={textOf(value)}
          onChange={onChange}
          allowDeselect={false}
        />
      );
    case 'number':
      return (
        <NumberField {...common} value={value as Entered} onChange={(next) => onChange(next ?? undefined)} min={0} />
      );
    case 'list':
      return (
        <Textarea
          {...common}
          key={typed === null ? 'reset' : 'typed'}
          defaultValue={Array.isArray(value) ? value.join('\n') : ''}
          onChange={(event) => onChange(linesOf(event.currentTarget.value))}
          autosize
        />
      );
    case 'image':
      return <Picture setting={setting} typed={typed} onChange={onChange} common={common} />;
    default:
      return (
        <TextInput
          {...common}
          value={textOf(value)}
          onChange={(event) => onChange(event.currentTarget.value)}
          {...(setting.kind === 'color'
            ? { placeholder: '#2f6f4f', rightSection: <Swatch color={textOf(value)} /> }
            : {})}
        />
      );
  }
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');

const linesOf = (text: string): string[] =>
  text.split(/[\n,、]+/).flatMap((line) => (line.trim() === '' ? [] : [line.trim()]));

function Swatch({ color }: { readonly color: string }): ReactNode {
  const background = /^#[0-9a-f]{6}$/i.test(color) ? color : 'transparent';
  return <span aria-hidden style={{ width: 18, height: 18, borderRadius: 4, background, border: '1px solid gray' }} />;
}

function Picture({
  setting,
  typed,
  onChange,
  common,
}: Omit<SettingFieldProps, 'readOnly' | 'fault'> & { readonly common: Common }): ReactNode {
  const { t } = useTranslation('settings');
  const read = async (file: File | null): Promise<void> => {
    if (file) onChange(await dataUrlOf(file));
  };
  const there = typeof typed === 'string' ? typed : typed === null ? '' : setting.value;
  return (
    <>
      <FileInput
        label={common.label}
        description={common.description}
        error={common.error}
        disabled={common.readOnly}
        accept="image/png,image/svg+xml"
        placeholder={t('choose')}
        onChange={(file) => void read(file)}
      />
      {there !== '' && (
        <Text size="xs" c="dimmed">
          {typeof typed === 'string' ? t('chosen') : String(there)}
        </Text>
      )}
    </>
  );
}

function dataUrlOf(file: File): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.addEventListener('load', () => resolve(textOf(reader.result)));
    reader.addEventListener('error', () => reject(new Error('the file cannot be read')));
    reader.readAsDataURL(file);
  });
}
