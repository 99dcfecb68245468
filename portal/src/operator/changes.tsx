// One event of the audit log: who changed what, and from what to what, in lines that can be read.
import { Anchor, Group, Text } from '@mantine/core';
import type { ReactNode } from 'react';
import { Link } from 'wouter';
import type { AuditEvent } from '../api-types.ts';
import { useWriting } from '../shell/when.ts';

const ids = /\b(?:acc|key|usr|app|sus)_[0-9A-Za-z]{1,40}/g;

/** The id of who acted, or the name of a rule, user or network. */
export const actorId = (actor: string): string => actor.slice(actor.indexOf(':') + 1);

/** A value as people read it, with names in the place of ids. */
export const valueText = (value: unknown, names: AuditEvent['names']): string =>
  value === undefined
    ? '–'
    : (typeof value === 'string' ? value : JSON.stringify(value)).replaceAll(ids, (id) => names[id] ?? id);

/** The names of the fields that differ. */
export function differing({ from, to }: AuditEvent): readonly string[] {
  const fields = new Set([...Object.keys(from ?? {}), ...Object.keys(to ?? {})]);
  return [...fields].filter((name) => JSON.stringify(from?.[name]) !== JSON.stringify(to?.[name]));
}

function lineOf({ from, to, names }: AuditEvent, name: string): string {
  const after = valueText(to?.[name], names);
  return from === null ? `${name}: ${after}` : `${name}: ${valueText(from[name], names)} → ${after}`;
}

/** Shows names for ids, with the id on hover; other texts stay unchanged. */
function Known({
  id,
  names,
  otherwise = id,
}: {
  readonly id: string;
  readonly names: AuditEvent['names'];
  readonly otherwise?: string;
}): ReactNode {
  const name = names[id];
  return name === undefined ? otherwise : <span title={id}>{name}</span>;
}

export function Changes({ event }: { readonly event: AuditEvent }): ReactNode {
  const { exact } = useWriting();
  const { names } = event;
  const lines = differing(event).slice(0, 30);
  return (
    <div role="listitem">
      <Group gap="xs">
        <Anchor component={Link} href={`/operate/audit/${event.id}`} size="sm">
          {exact(event.at)}
        </Anchor>
        <Text size="sm" fw={600} ff="monospace">
          {event.action}
        </Text>
        <Text size="sm" style={{ overflowWrap: 'anywhere' }}>
          <Known id={event.subject} names={names} />
        </Text>
        <Text size="sm" c="dimmed">
          <Known id={actorId(event.actor)} names={names} otherwise={event.actor} />
        </Text>
      </Group>
      {lines.length > 0 && (
        <Text size="xs" c="dimmed" style={{ overflowWrap: 'anywhere' }}>
          {lines.map((name) => lineOf(event, name)).join(' · ')}
        </Text>
      )}
    </div>
  );
}
