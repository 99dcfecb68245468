// One event of the audit log: who changed what, and from what to what, in lines that can be read.
import { Group, Text } from '@mantine/core';
import type { ReactNode } from 'react';
import type { AuditEvent } from '../api-types.ts';
import { useWriting } from '../shell/when.ts';

const shown = (value: unknown): string =>
  value === undefined ? '–' : typeof value === 'string' ? value : JSON.stringify(value);

/** The fields that differ. */
function differences({ from, to }: AuditEvent): readonly string[] {
  const names = new Set([...Object.keys(from ?? {}), ...Object.keys(to ?? {})]);
  return [...names].flatMap((name) => {
    const [before, after] = [from?.[name], to?.[name]];
    if (JSON.stringify(before) === JSON.stringify(after)) return [];
    return [from === null ? `${name}: ${shown(after)}` : `${name}: ${shown(before)} → ${shown(after)}`];
  });
}

export function Changes({ event }: { readonly event: AuditEvent }): ReactNode {
  const { moment } = useWriting();
  const lines = differences(event);
  return (
    <div>
      <Group gap="xs">
        <Text size="sm" c="dimmed">
          {moment(event.at)}
        </Text>
        <Text size="sm" fw={600} ff="monospace">
          {event.action}
        </Text>
        <Text size="sm" ff="monospace">
          {event.subject}
        </Text>
        <Text size="sm" c="dimmed">
          {event.actor}
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
