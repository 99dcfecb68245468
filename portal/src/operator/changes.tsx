// One event of the audit log, in readable form: who changed what, and from what to what.
import { Group, Text } from '@mantine/core';
import type { ReactNode } from 'react';
import type { AuditEvent } from '../api-types.ts';
import { useWriting } from '../shell/when.ts';

const ids = /\b(?:acc|key|usr|app|sus)_[0-9A-Za-z]{1,40}/g;

/** The fields that differ. */
function differences({ from, to, names }: AuditEvent): readonly string[] {
  const fields = new Set([...Object.keys(from ?? {}), ...Object.keys(to ?? {})]);
  const shown = (value: unknown): string =>
    value === undefined
      ? '–'
      : (typeof value === 'string' ? value : JSON.stringify(value)).replaceAll(ids, (id) => names[id] ?? id);
  return [...fields].flatMap((name) => {
    const [before, after] = [from?.[name], to?.[name]];
    if (JSON.stringify(before) === JSON.stringify(after)) return [];
    return [from === null ? `${name}: ${shown(after)}` : `${name}: ${shown(before)} → ${shown(after)}`];
  });
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
  const lines = differences(event);
  return (
    <div>
      <Group gap="xs">
        <Text size="sm" c="dimmed">
          {exact(event.at)}
        </Text>
        <Text size="sm" fw={600} ff="monospace">
          {event.action}
        </Text>
        <Text size="sm" style={{ overflowWrap: 'anywhere' }}>
          <Known id={event.subject} names={event.names} />
        </Text>
        <Text size="sm" c="dimmed">
          <Known id={event.actor.slice(event.actor.indexOf(':') + 1)} names={event.names} otherwise={event.actor} />
        </Text>
      </Group>
      {lines.length > 0 && (
        <Text size="xs" c="dimmed" style={{ overflowWrap: 'anywhere' }}>
          {lines.slice(0, 30).join(' · ')}
        </Text>
      )}
    </div>
  );
}
