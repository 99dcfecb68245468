// What is left of each limit: a bar, its figures, and when it resets.
import { Box, Group, Progress, SimpleGrid, Text } from '@mantine/core';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import type { Limit } from '../api-types.ts';
import { useWriting } from '../shell/when.ts';

export function Limits({ limits }: { readonly limits: readonly Limit[] }): ReactNode {
  const { t } = useTranslation('member');
  const { figure, short, relative, list } = useWriting();
  if (limits.length === 0) return <Text c="dimmed">{t('home.limitsNone')}</Text>;
  return (
    <SimpleGrid cols={{ base: 1, xs: 2, lg: 3 }} spacing="lg">
      {limits.map((limit) => {
        const { name, per, measure, window, used, remaining } = limit;
        const share = limit.limit === 0 ? 100 : Math.min(100, (used / limit.limit) * 100);
        const label = list([t(`limit.${measure}`), t(`limit.${window}`)]);
        return (
          <Box key={per + name}>
            <Group justify="space-between" gap="xs">
              <Text size="sm" fw={500}>
                {label}
              </Text>
              <Text size="sm" title={`${figure(used)} / ${figure(limit.limit)}`}>
                {t('limit.of', { used: short(used), limit: short(limit.limit) })}
              </Text>
            </Group>
            <Progress
              value={share}
              my={4}
              aria-label={label}
              color={share >= 100 ? 'red' : share >= 80 ? 'orange' : 'teal'}
            />
            <Text size="xs" c="dimmed">
              {t('limit.left', { left: short(remaining), when: relative(limit.resetsAt) })}
            </Text>
          </Box>
        );
      })}
    </SimpleGrid>
  );
}
