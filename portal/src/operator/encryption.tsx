// The encryption of the gateway: the certificates that callers see, their validity, renewals, and errors.
import {
  Alert,
  Anchor,
  Badge,
  Button,
  Code,
  Divider,
  Group,
  Paper,
  SimpleGrid,
  Skeleton,
  Stack,
  Text,
  Title,
} from '@mantine/core';
import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'wouter';
import { useGet } from '../api.ts';
import type { Encryption as Now } from '../api-types.ts';
import { IconCertificateOff, IconHourglass } from '../icons.ts';
import { Help } from '../shell/help.tsx';
import { Quoted } from '../shell/told.tsx';
import { Trouble } from '../shell/trouble.tsx';
import { useWriting } from '../shell/when.ts';

/** Shows a renewal without a reload. */
const everyMs = 10_000;

export function Encryption(): ReactNode {
  const { t } = useTranslation('policy');
  const { data: now, error, refetch } = useGet<Now>('/encryption', {}, everyMs);
  if (now === undefined)
    return error ? <Trouble problem={error} retry={() => void refetch()} /> : <Skeleton height={240} />;
  const encrypted = now.how !== 'off' && now.how !== 'proxy';
  return (
    <Paper withBorder p="md">
      <Group gap="sm" mb="sm">
        <Title order={2} size="h4">
          {t('encryption.title')}
        </Title>
        <Badge variant="light" color={colourOf(now)}>
          {t(`encryption.how.${now.how}`)}
        </Badge>
      </Group>
      <Stack>
        <Text size="sm">
          {t(now.exposed ? 'encryption.exposed' : `encryption.text.${now.how}`)} {!encrypted && <Help about="tls" />}
        </Text>
        {now.authority !== null && (
          <Anchor component={Link} href="/trust" size="sm" w="fit-content">
            {t('encryption.trust')}
          </Anchor>
        )}
        <Failed now={now} />
        {now.certificates.map((certificate, place) => (
          <Certificate
            // Two pairs can be identical except for their position.
            key={`${certificate.fingerprint ?? ''} ${place}`}
            certificate={certificate}
            first={place === 0 && now.certificates.length > 1}
          />
        ))}
        {encrypted && <Divider />}
        {encrypted && <Habits now={now} />}
      </Stack>
    </Paper>
  );
}

function colourOf({ certificates, provisional, problem, exposed }: Now): string {
  if (exposed) return 'red';
  if (certificates.length === 0) return 'gray';
  return provisional || problem !== null ? 'orange' : 'teal';
}

function Failed({ now }: { readonly now: Now }): ReactNode {
  const { t } = useTranslation('policy');
  const { moment, relative } = useWriting();
  const { how, problem, provisional, triesAt } = now;
  if (problem === null)
    return (
      provisional && (
        <Alert color="orange" icon={<IconHourglass size={20} />}>
          {t('encryption.provisional')}
        </Alert>
      )
    );
  return (
    <Alert
      color="red"
      icon={<IconCertificateOff size={20} />}
      title={t(how === 'files' ? 'encryption.filesRefused' : 'encryption.renewalFailed')}
    >
      <Stack gap="xs">
        <Quoted told={problem} />
        <Text size="sm">{t(provisional ? 'encryption.provisional' : 'encryption.kept')}</Text>
        <Text size="sm">
          {triesAt === null
            ? t('encryption.triesFiles')
            : t('encryption.triesAt', { when: moment(triesAt), relative: relative(triesAt) })}
        </Text>
      </Stack>
    </Alert>
  );
}

const colours = { fine: 'teal', 'ends-soon': 'orange', ended: 'red' } as const;

function Certificate(props: { readonly certificate: Now['certificates'][number]; readonly first: boolean }): ReactNode {
  const { t } = useTranslation('policy');
  const { moment } = useWriting();
  const { names, issuer, notBefore, notAfter, daysLeft, state, keyType, fingerprint } = props.certificate;
  const unknown = t('encryption.unknown');
  return (
    <>
      <Divider />
      <Stack gap="sm">
        <Names names={names} />
        {props.first && (
          <Text size="sm" c="dimmed">
            {t('encryption.first')}
          </Text>
        )}
        <SimpleGrid cols={{ base: 1, xs: 2 }} verticalSpacing="xs">
          <Fact name={t('encryption.until')}>
            <Group gap="xs">
              {notAfter === null ? unknown : moment(notAfter)}
              {daysLeft !== null && (
                <Badge variant="light" color={colours[state]}>
                  {t(state === 'ended' ? 'encryption.ended' : 'encryption.daysLeft', { count: daysLeft })}
                </Badge>
              )}
            </Group>
          </Fact>
          <Fact name={t('encryption.from')}>{notBefore === null ? unknown : moment(notBefore)}</Fact>
          <Fact name={t('encryption.issuer')}>{issuer ?? unknown}</Fact>
          <Fact name={t('encryption.key')}>{keyType ?? unknown}</Fact>
        </SimpleGrid>
        <Fact name={t('encryption.fingerprint')}>
          {fingerprint === null ? unknown : <Code fz="sm">{fingerprint}</Code>}
        </Fact>
      </Stack>
    </>
  );
}

/** A machine with many networks can have very many addresses. */
const mostNames = 8;

function Names({ names }: { readonly names: readonly string[] }): ReactNode {
  const { t } = useTranslation('policy');
  const [all, setAll] = useState(false);
  const more = names.length - mostNames;
  return (
    <Fact name={t('encryption.names')}>
      <Group gap={6}>
        {names.length === 0 && t('encryption.unknown')}
        {(all ? names : names.slice(0, mostNames)).map((name) => (
          <Code key={name} fz="sm" fw={600}>
            {name}
          </Code>
        ))}
        {more > 0 && !all && (
          <Button size="compact-xs" variant="subtle" onClick={() => setAll(true)}>
            {t('encryption.more', { count: more })}
          </Button>
        )}
      </Group>
    </Fact>
  );
}

function Habits({ now }: { readonly now: Now }): ReactNode {
  const { t } = useTranslation('policy');
  const { moment, relative } = useWriting();
  const { how, renewsAt, clientCertificates } = now;
  return (
    <SimpleGrid cols={{ base: 1, xs: 2 }} verticalSpacing="xs">
      <Fact name={t('encryption.renews')}>
        {renewsAt === null
          ? t(how === 'files' ? 'encryption.renewsFiles' : 'encryption.renewsFirst')
          : t('encryption.renewsAt', { when: moment(renewsAt), relative: relative(renewsAt) })}
      </Fact>
      <Fact name={t('encryption.clients')}>{t(`encryption.client.${clientCertificates}`)}</Fact>
    </SimpleGrid>
  );
}

function Fact({ name, children }: { readonly name: string; readonly children: ReactNode }): ReactNode {
  return (
    <div>
      <Text size="sm" c="dimmed">
        {name}
      </Text>
      <Text size="sm" component="div">
        {children}
      </Text>
    </div>
  );
}
