// One route: its parameters and body to fill in, the line for curl, and what the gate answers. What changes something asks first.
import { Alert, Badge, Button, Code, Group, SimpleGrid, Stack, Text, Textarea, TextInput } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useGet } from '../api.ts';
import type { Model, PageOf } from '../api-types.ts';
import { useSession } from '../session.tsx';
import { useAsk } from '../shell/ask.tsx';
import { Copy } from '../shell/copy.tsx';
import { useWriting } from '../shell/when.ts';
import { Against } from '../visitor/form.tsx';
import type { Catalogue, Entry, Parameter } from './catalogue.ts';
import { exampleCall } from './examples.ts';
import { type Answered, type Asked, curlOf, send, targetOf } from './requests.ts';
import { exampleOf, typeText } from './schema-text.ts';

interface TryItProps {
  readonly entry: Entry;
  readonly schemas: Catalogue['schemas'];
  readonly secret: () => Promise<string>;
}

const textOf = (value: unknown): string => JSON.stringify(value, null, 2);
/** Reads, and calls of models, which change nothing but what is used. */
const changesNothing = ({ method, of }: Entry): boolean => method === 'GET' || method === 'HEAD' || of === 'models';

export function TryIt({ entry, schemas, secret }: TryItProps): ReactNode {
  const { t } = useTranslation('reference');
  const { session } = useSession();
  const ask = useAsk();
  const models = useGet<PageOf<Model>>('/me/models');
  const model = models.data?.items[0]?.name ?? 'gemma3:270m';
  const [values, setValues] = useState<Readonly<Record<string, string>>>({});
  const [written, setBody] = useState<string>();
  const example = entry.of === 'models' ? exampleCall(entry.name, model) : entry.body && exampleOf(entry.body, schemas);
  const body = written ?? (entry.body ? textOf(example) : '');
  const asked: Asked = { entry, values, body };
  const missing = entry.parameters.some(({ name, required }) => required === true && (values[name] ?? '') === '');
  const sent = useMutation({ mutationFn: () => send(asked, secret) });
  const start = async (): Promise<void> => {
    const question = {
      title: t('ask.title'),
      text: t('ask.text', { what: `${entry.method} ${targetOf(asked)}` }),
      act: t('send'),
    };
    if (changesNothing(entry) || (await ask(question))) sent.mutate();
  };
  return (
    <Stack gap="md">
      <Fields
        parameters={entry.parameters}
        values={values}
        change={(name, value) => setValues({ ...values, [name]: value })}
      />
      {entry.body && (
        <Textarea
          label={t('body')}
          value={body}
          onChange={(event) => setBody(event.currentTarget.value)}
          autosize
          minRows={3}
          maxRows={20}
          spellCheck={false}
          styles={{ input: { fontFamily: 'monospace' } }}
        />
      )}
      <Shapes entry={entry} schemas={schemas} />
      {entry.needs === 'person' ? (
        <Text size="sm" c="dimmed">
          {t('sessionOnly')}
        </Text>
      ) : (
        <Copy text={curlOf(asked, session.gate.url)} label={t('curl')} block />
      )}
      <Button w="fit-content" disabled={missing} loading={sent.isPending} onClick={() => void start()}>
        {t('send')}
      </Button>
      <Against error={sent.error} />
      {sent.data && <Answer answered={sent.data} />}
    </Stack>
  );
}

function Fields(props: {
  readonly parameters: readonly Parameter[];
  readonly values: Readonly<Record<string, string>>;
  readonly change: (name: string, value: string) => void;
}): ReactNode {
  const { i18n } = useTranslation('reference');
  if (props.parameters.length === 0) return null;
  return (
    <SimpleGrid cols={{ base: 1, sm: 2 }}>
      {props.parameters.map(({ name, required, schema, description }) => (
        <TextInput
          key={name}
          label={name}
          description={[
            typeText(schema, {}, false),
            i18n.language === 'en' ? (description ?? schema.description) : undefined,
          ]
            .filter((part) => part !== undefined)
            .join(' · ')}
          required={required === true}
          value={props.values[name] ?? ''}
          onChange={(event) => props.change(name, event.currentTarget.value)}
          styles={{ label: { fontFamily: 'monospace' }, description: { overflowWrap: 'anywhere' } }}
        />
      ))}
    </SimpleGrid>
  );
}

/** What goes in and what comes out, from the schemas that the gate validates with. */
function Shapes({ entry, schemas }: Pick<TryItProps, 'entry' | 'schemas'>): ReactNode {
  const { t, i18n } = useTranslation('reference');
  const shapes = [
    ['shapeBody', entry.of === 'management' ? entry.body : undefined],
    ['shapeAnswer', entry.answer],
  ] as const;
  return shapes.map(
    ([name, schema]) =>
      schema && (
        <details key={name}>
          <summary>
            <Text component="span" size="sm">
              {t(name)}
            </Text>
          </summary>
          <Code block mt="xs" mah={400} style={{ overflow: 'auto' }} tabIndex={0} role="region" aria-label={t(name)}>
            {typeText(schema, schemas, i18n.language === 'en')}
          </Code>
        </details>
      ),
  );
}

function Answer({ answered: { status, headers, body, isCut, ms } }: { readonly answered: Answered }): ReactNode {
  const { t } = useTranslation('reference');
  const { figure } = useWriting();
  const colour = status < 400 ? 'teal' : 'red';
  return (
    <Stack gap="xs" role="status" aria-label={t('answer')}>
      <Group gap="xs">
        <Badge variant="light" color={colour}>
          {status}
        </Badge>
        <Text size="sm" c="dimmed">
          {t('took', { ms: figure(ms) })}
        </Text>
      </Group>
      <details>
        <summary>
          <Text component="span" size="sm">
            {t('headers')}
          </Text>
        </summary>
        <Code block mt="xs" mah={300} style={{ overflow: 'auto' }} tabIndex={0} role="region" aria-label={t('headers')}>
          {headers.map(([name, value]) => `${name}: ${value}`).join('\n')}
        </Code>
      </details>
      {body !== '' && (
        <Code block mah={500} style={{ overflow: 'auto' }} tabIndex={0} role="region" aria-label={t('answerBody')}>
          {body}
        </Code>
      )}
      {isCut && (
        <Alert color="yellow" py="xs">
          <Text size="sm">{t('cut')}</Text>
        </Alert>
      )}
    </Stack>
  );
}
