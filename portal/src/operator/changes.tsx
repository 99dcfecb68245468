// One event of the audit log: who changed what, and from what to what, in lines that can be read.
import { Anchor, Group, Text } from '@mantine/core';
import type { ReactNode } from 'react';
import { Link } from 'wouter';
import type { AuditEvent } from '../api-types.ts';
import { isolated } from '../shell/isolate.ts';
import { useWriting } from '../shell/when.ts';

const ids = /\b(?:acc|key|usr|app|sus)_[0-9A-Za-z]{1,40}/g;

/** The id of who acted, or the name of a rule, user or network. */
export const actorId = (actor: string): string => actor.slice(actor.indexOf(':') + 1);

/** Writes a value as people read it: names in the place of ids, times in the time zone of the page, no JSON. */
export function useValueText(): (field: string, value: unknown, names: AuditEvent['names']) => string {
  const { exact, list, labeled } = useWriting();
  const write = (field: string, value: unknown, names: AuditEvent['names'], isInside = false): string => {
    if (isNothing(value)) return '–';
    if (typeof value === 'number' && field.endsWith('At')) return exact(new Date(value).toISOString());
    if (typeof value === 'string' && isTime.test(value)) return exact(value);
    if (typeof value === 'string') return value.replaceAll(ids, (id) => names[id] ?? id);
    if (typeof value !== 'object' || value === null) return JSON.stringify(value);
    const text = Array.isArray(value)
      ? list(value.map((each) => write(field, each, names, true)))
      : list(Object.entries(value).map(([name, each]) => labeled(name, write(name, each, names, true))));
    return isInside ? `(${text})` : text;
  };
  return write;
}

const isTime = /^\d{4}-\d\d-\d\dT[\d:.]+Z$/;

const isNothing = (value: unknown): boolean =>
  value === undefined ||
  value === null ||
  value === '' ||
  (typeof value === 'object' && Object.keys(value).length === 0);

/** The name of what was changed: the gateway's, or the one that it has in the values. */
export const subjectName = ({ subject, names, from, to }: AuditEvent): string | undefined => {
  const own = to?.['name'] ?? from?.['name'];
  return names[subject] ?? (typeof own === 'string' && own !== '' ? own : undefined);
};

/** The names of the fields that differ; the id is that of the subject. */
export function differing({ from, to }: AuditEvent): readonly string[] {
  const fields = new Set([...Object.keys(from ?? {}), ...Object.keys(to ?? {})]);
  return [...fields].filter((name) => name !== 'id' && JSON.stringify(from?.[name]) !== JSON.stringify(to?.[name]));
}

/** Shows names for ids, with the id on hover; other texts stay unchanged. */
function Known({
  id,
  name,
  otherwise = id,
}: {
  readonly id: string;
  readonly name: string | undefined;
  readonly otherwise?: string;
}): ReactNode {
  return name === undefined ? otherwise : <span title={id}>{name}</span>;
}

export function Changes({ event }: { readonly event: AuditEvent }): ReactNode {
  const { exact, labeled, dotted } = useWriting();
  const valueText = useValueText();
  const { from, to, names } = event;
  // What begins or ends without a value says nothing.
  const fields = differing(event).filter((name) => !isNothing(from?.[name]) || !isNothing(to?.[name]));
  const lines = fields.slice(0, 30).map((name) => {
    const after = valueText(name, to?.[name], names);
    return labeled(
      name,
      from === null ? after : `${isolated(valueText(name, from[name], names))} → ${isolated(after)}`,
    );
  });
  return (
    <div role="listitem">
      <Group gap="0 0.625rem">
        <Anchor component={Link} href={`/operate/audit/${event.id}`} size="sm">
          {exact(event.at)}
        </Anchor>
        <Text size="sm" fw={600} ff="monospace">
          {event.action}
        </Text>
        <Text size="sm" style={{ overflowWrap: 'anywhere' }}>
          <Known id={event.subject} name={subjectName(event)} />
        </Text>
        <Text size="sm" c="dimmed">
          <Known id={actorId(event.actor)} name={names[actorId(event.actor)]} otherwise={event.actor} />
        </Text>
      </Group>
      {lines.length > 0 && (
        <Text size="xs" c="dimmed" style={{ overflowWrap: 'anywhere' }}>
          {dotted(lines)}
        </Text>
      )}
    </div>
  );
}
