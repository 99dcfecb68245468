// What a server says about one of its models: what it is, what it can do, its own parameters, and its license.
import { Accordion, Badge, Code, Group, Skeleton, Stack, Table, Text } from '@mantine/core';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { useGet } from '../api.ts';
import type { ModelDescription } from '../api-types.ts';
import { Dialog } from '../shell/dialog.tsx';
import { Trouble } from '../shell/trouble.tsx';
import { useWriting } from '../shell/when.ts';

export interface ModelDetailsProps {
  readonly server: string;
  readonly model: string;
  readonly close: () => void;
}

export function ModelDetails({ server, model, close }: ModelDetailsProps): ReactNode {
  const { data, error, isPending, refetch } = useGet<ModelDescription>('/models/details', { server, model });
  return (
    <Dialog opened onClose={close} title={model} size="lg">
      {isPending && <Skeleton height={160} />}
      {error && <Trouble problem={error} retry={() => void refetch()} />}
      {data && <Facts details={data} server={server} />}
    </Dialog>
  );
}

function Facts({ details, server }: { readonly details: ModelDescription; readonly server: string }): ReactNode {
  const { t } = useTranslation('lists');
  const { figure } = useWriting();
  const { family, parameters, quantization, format, context, capabilities, settings, license } = details;
  const facts: readonly (readonly [string, string | null])[] = [
    [t('models.server'), server],
    [t('models.family'), family],
    [t('models.parameters'), parameters],
    [t('models.quantization'), quantization],
    [t('models.format'), format],
    [t('models.longest'), context === null ? null : t('models.tokens', { count: context, figure: figure(context) })],
  ];
  return (
    <Stack>
      <Table withRowBorders={false}>
        <Table.Tbody>
          {facts.flatMap(([name, value]) =>
            value === null
              ? []
              : [
                  <Table.Tr key={name}>
                    <Table.Th scope="row">{name}</Table.Th>
                    <Table.Td style={{ overflowWrap: 'anywhere' }}>{value}</Table.Td>
                  </Table.Tr>,
                ],
          )}
        </Table.Tbody>
      </Table>
      {capabilities.length > 0 && (
        <Group gap={4}>
          <Text size="sm">{t('models.can')}</Text>
          {capabilities.map((name) => (
            <Badge key={name} variant="light" lang="en">
              {name}
            </Badge>
          ))}
        </Group>
      )}
      <Folded label={t('models.settings')} text={settings} />
      <Folded label={t('models.license')} text={license} />
    </Stack>
  );
}

function Folded({ label, text }: { readonly label: string; readonly text: string | null }): ReactNode {
  if (text === null) return null;
  return (
    <Accordion variant="contained">
      <Accordion.Item value="text">
        <Accordion.Control>{label}</Accordion.Control>
        <Accordion.Panel>
          <Code block lang="en" style={{ whiteSpace: 'pre-wrap', maxHeight: '20rem', overflow: 'auto' }} tabIndex={0}>
            {text}
          </Code>
        </Accordion.Panel>
      </Accordion.Item>
    </Accordion>
  );
}
