// Ctrl-K (Cmd-K): jumps to a page, an account, a key, a model, a request or an audit event by what is typed. Operators and auditors find
// everything, by name, email address or id, which the gate searches; members find their own pages and keys, and so does an operator who
// views them.
import { Button, Text, TextInput, UnstyledButton, VisuallyHidden } from '@mantine/core';
import { useDebouncedValue, useDisclosure, useHotkeys } from '@mantine/hooks';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { type KeyboardEvent, type ReactNode, useId, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useLocation } from 'wouter';
import { api } from '../api.ts';
import type { Found, Key, Model, PageOf } from '../api-types.ts';
import { IconSearch } from '../icons.ts';
import { routes } from '../routes.tsx';
import { useSession } from '../session.tsx';
import { Dialog } from './dialog.tsx';
import { useWriting } from './when.ts';

interface Target {
  readonly href: string;
  readonly name: string;
  /** What kind of thing it is, and what tells it from others of its name. */
  readonly about: string;
}

const most = 6;
const shortcut = 'Ctrl K';

/** The button that opens it, and the shortcut, which works in fields as well. */
export function Palette(): ReactNode {
  const { t } = useTranslation('lists');
  const [opened, { open, close }] = useDisclosure();
  useHotkeys([['mod+K', open]], []);
  return (
    <>
      <Button
        variant="default"
        size="compact-md"
        fz="sm"
        leftSection={<IconSearch size={16} />}
        onClick={open}
        aria-keyshortcuts="Control+K Meta+K"
        visibleFrom="sm"
      >
        <VisuallyHidden>{t('palette.open')}</VisuallyHidden>
        <span aria-hidden>{shortcut}</span>
      </Button>
      <Button variant="subtle" color="gray" px={6} onClick={open} aria-label={t('palette.open')} hiddenFrom="sm">
        <IconSearch size={20} />
      </Button>
      <Dialog opened={opened} onClose={close} title={t('palette.open')} withCloseButton={false} yOffset="10vh">
        {opened && <Search close={close} />}
      </Dialog>
    </>
  );
}

function Search({ close }: { readonly close: () => void }): ReactNode {
  const { t } = useTranslation('lists');
  const id = useId();
  const [, go] = useLocation();
  const [text, setText] = useState('');
  const [at, setAt] = useState(0);
  const targets = useTargets(text.trim());
  const here = Math.min(at, targets.length - 1);
  const jump = (target: Target | undefined): void => {
    if (!target) return;
    close();
    go(target.href);
  };
  const onKey = (event: KeyboardEvent): void => {
    const steps: Readonly<Record<string, number>> = { ArrowDown: here + 1, ArrowUp: here - 1 };
    const next = steps[event.key];
    if (event.key === 'Enter') jump(targets[here]);
    else if (next !== undefined) setAt((next + targets.length) % Math.max(1, targets.length));
    else return;
    event.preventDefault();
  };
  return (
    <>
      <TextInput
        data-autofocus
        role="combobox"
        aria-label={t('palette.open')}
        aria-expanded={targets.length > 0}
        aria-controls={`${id}-list`}
        aria-activedescendant={targets.length > 0 ? `${id}-${here}` : undefined}
        aria-autocomplete="list"
        placeholder={t('palette.hint')}
        leftSection={<IconSearch size={16} />}
        value={text}
        onChange={(event) => {
          setText(event.currentTarget.value);
          setAt(0);
        }}
        onKeyDown={onKey}
        autoComplete="off"
        spellCheck={false}
      />
      {targets.length === 0 && (
        <Text size="sm" c="dimmed" p="sm" role="status">
          {t('picker.none')}
        </Text>
      )}
      {targets.length > 0 && (
        <div role="listbox" id={`${id}-list`} aria-label={t('palette.found')} style={{ marginTop: 8 }}>
          {targets.map(({ href, name, about }, i) => (
            <UnstyledButton
              key={`${href} ${name}`}
              role="option"
              id={`${id}-${i}`}
              aria-selected={i === here}
              tabIndex={-1}
              onClick={() => jump(targets[i])}
              onMouseMove={() => setAt(i)}
              display="block"
              w="100%"
              px="sm"
              py={6}
              {...(i === here ? { bg: 'var(--mantine-color-default-hover)' } : {})}
              style={{ borderRadius: 'var(--mantine-radius-sm)', overflowWrap: 'anywhere' }}
            >
              <Text size="sm">{name}</Text>
              <Text size="xs" c="dimmed">
                {about}
              </Text>
            </UnstyledButton>
          ))}
        </div>
      )}
    </>
  );
}

function useTargets(text: string): readonly Target[] {
  const { t } = useTranslation('lists');
  const { dotted } = useWriting();
  const { session, reads } = useSession();
  const [search] = useDebouncedValue(text, 150);
  const isAsking = search !== '';
  const found = useQuery({
    queryKey: ['/find', 'palette', search],
    queryFn: () => api.get<PageOf<Found>>('/find', { search, limit: most }),
    enabled: reads && isAsking,
    placeholderData: keepPreviousData,
  });
  const models = useQuery({
    queryKey: ['/me/models', {}],
    queryFn: () => api.get<PageOf<Model>>('/me/models'),
    enabled: reads && isAsking,
  });
  const keys = useQuery({
    queryKey: ['/me/keys', { limit: 200 }],
    queryFn: () => api.get<PageOf<Key>>('/me/keys', { limit: 200 }),
    enabled: !reads && isAsking && session.account !== null,
  });
  const holds = (name: string): boolean => name.toLowerCase().includes(text.toLowerCase());
  const things = (reads && isAsking ? found.data?.items : undefined) ?? [];
  return [
    ...idTargets(text, reads, t('palette.request'), t('palette.event')),
    ...pagesFor(reads, session.account !== null, session.view !== null)
      .map(({ path, name }) => ({ href: path, name: t(`shell:nav.${name}`), about: t('palette.page') }))
      .filter(({ name }) => holds(name)),
    ...things.map(({ kind, id, name, of }) => ({
      href: kind === 'account' ? `/operate/accounts/${id}` : `/operate/keys?q=${id}`,
      name: name === '' ? id : name,
      about: dotted([t(`palette.${kind}`), of]),
    })),
    ...(isAsking ? (models.data?.items ?? []) : [])
      .filter(({ name }) => holds(name))
      .slice(0, most)
      .map(({ name }) => ({
        href: `/operate/models?q=${encodeURIComponent(name)}`,
        name,
        about: t('palette.model'),
      })),
    ...(isAsking ? (keys.data?.items ?? []) : [])
      .filter(({ name, id }) => holds(name) || id === text)
      .slice(0, most)
      .map(({ name, id }) => ({ href: '/keys', name: name === '' ? id : name, about: t('palette.key') })),
  ];
}

/** The page of a request, or of an audit event, whose id was typed. */
function idTargets(text: string, reads: boolean, request: string, event: string): Target[] {
  if (/^req_[0-9A-Za-z]{8,40}$/.test(text))
    return [{ href: `${reads ? '/operate' : ''}/requests/${text}`, name: text, about: request }];
  if (reads && /^aud_[0-9A-Za-z]{8,40}$/.test(text))
    return [{ href: `/operate/audit/${text}`, name: text, about: event }];
  return [];
}

const pagesFor = (reads: boolean, hasAccount: boolean, isView: boolean) =>
  routes.flatMap(({ path, who, name, inView }) => {
    if (name === undefined || (who === 'operator' && !reads) || (isView && inView !== true)) return [];
    // Somebody without an account waits: their other pages would be empty.
    if (who === 'member' && !hasAccount && path !== '/home' && path !== '/me') return [];
    return [{ path, name }];
  });
