// A chat to try the models. Its calls go through the gateway like those of any program, and count toward limits.
import {
  Alert,
  Button,
  Group,
  NumberInput,
  Paper,
  ScrollArea,
  Select,
  SimpleGrid,
  Stack,
  Text,
  Textarea,
} from '@mantine/core';
import { type ReactNode, useEffect, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useGet, wordsOf } from '../api.ts';
import type { Model, PageOf } from '../api-types.ts';
import { IconMessage, IconPlayerStop, IconSend } from '../icons.ts';
import { useSession } from '../session.tsx';
import { Empty } from '../shell/empty.tsx';
import { Page } from '../shell/page.tsx';
import { ServersDown } from '../shell/servers-down.tsx';
import { useWriting } from '../shell/when.ts';
import { ChatKey, CutError, chat } from './chat.ts';
import { keepChat, keptChat, type Turn } from './kept-chat.ts';

export default function Playground(): ReactNode {
  const { t } = useTranslation('member');
  const models = useGet<PageOf<Model>>('/me/models');
  const names = models.data?.items.map(({ name }) => name) ?? [];
  const { session } = useSession();
  const owner = session.person?.id ?? '';
  const [kept] = useState(() => keptChat(owner));
  const [chosen, setChosen] = useState<string | null>(kept.model);
  const [system, setSystem] = useState(kept.system);
  const [temperature, setTemperature] = useState<number | string>(kept.temperature);
  const [text, setText] = useState(kept.text);
  const [turns, setTurns] = useState<readonly Turn[]>(kept.turns);
  useEffect(() => {
    keepChat({ owner, model: chosen, system, temperature, text, turns });
  }, [owner, chosen, system, temperature, text, turns]);
  const [running, setRunning] = useState<AbortController>();
  const [against, setAgainst] = useState<string>();
  const [key] = useState(() => new ChatKey());
  const end = useRef<HTMLDivElement>(null);
  const model = chosen ?? names[0];
  useEffect(() => () => key.forget(), [key]);
  useEffect(() => {
    // In braces, because newer browsers return a promise, which is not a cleanup function.
    end.current?.scrollIntoView({ block: 'nearest' });
  }, [turns]);

  const send = async (): Promise<void> => {
    if (model === undefined || text.trim() === '') return;
    const before: Turn[] = [...turns, { role: 'user', content: text.trim() }];
    const stop = new AbortController();
    setTurns([...before, { role: 'assistant', content: '' }]);
    setText('');
    setAgainst(undefined);
    setRunning(stop);
    let answer = '';
    try {
      const figures = await chat(await key.secret(), {
        model,
        messages: [...(system.trim() === '' ? [] : [{ role: 'system' as const, content: system }]), ...before].map(
          ({ role, content }) => ({ role, content }),
        ),
        temperature: Number(temperature),
        signal: stop.signal,
        onText: (piece) => {
          answer += piece;
          setTurns([...before, { role: 'assistant', content: answer }]);
        },
      });
      setTurns([...before, { role: 'assistant', content: answer, figures }]);
    } catch (error) {
      if (!stop.signal.aborted) setAgainst(error instanceof CutError ? t('play.cut') : wordsOf(error));
      if (answer === '') setTurns(before);
    } finally {
      setRunning(undefined);
    }
  };
  if (models.data && names.length === 0)
    return (
      <Page title={t('play.title')} lead={t('play.lead')}>
        <ServersDown />
        <Empty icon={<IconMessage size={28} />} text={t('play.noModels')} />
      </Page>
    );
  return (
    <Page
      title={t('play.title')}
      lead={t('play.lead')}
      actions={
        turns.length > 0 && (
          <Button variant="default" disabled={running !== undefined} onClick={() => setTurns([])}>
            {t('play.clear')}
          </Button>
        )
      }
    >
      <SimpleGrid cols={{ base: 1, sm: 2 }}>
        <Select label={t('play.model')} data={names} value={model ?? null} onChange={setChosen} allowDeselect={false} />
        <NumberInput
          label={t('play.temperature')}
          value={temperature}
          onChange={setTemperature}
          min={0}
          max={2}
          step={0.1}
          decimalScale={2}
        />
      </SimpleGrid>
      <Textarea
        label={t('play.system')}
        value={system}
        onChange={(event) => setSystem(event.currentTarget.value)}
        autosize
        maxRows={6}
      />
      <Paper withBorder p="md">
        {turns.length === 0 ? (
          <Text c="dimmed" ta="center" py="xl">
            {t('play.empty')}
          </Text>
        ) : (
          <ScrollArea.Autosize
            mah="50vh"
            type="auto"
            viewportProps={{ tabIndex: 0, role: 'log', 'aria-label': t('play.answer') }}
          >
            <Stack>
              {turns.map((turn, i) => (
                // oxlint-disable-next-line react/no-array-index-key -- turns are only added
                <Bubble
                  key={i}
                  turn={turn}
                  waits={running !== undefined && i === turns.length - 1 && turn.content === ''}
                />
              ))}
              <div ref={end} />
            </Stack>
          </ScrollArea.Autosize>
        )}
      </Paper>
      <ServersDown />
      {against !== undefined && (
        <Alert color="red" role="alert">
          {against}
        </Alert>
      )}
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void send();
        }}
      >
        <Group align="flex-end" wrap="nowrap">
          <Textarea
            label={t('play.message')}
            placeholder={t('play.placeholder')}
            value={text}
            onChange={(event) => setText(event.currentTarget.value)}
            onKeyDown={(event) => {
              // While an input method composes text, Enter accepts a word.
              if (event.key !== 'Enter' || event.shiftKey || event.nativeEvent.isComposing) return;
              event.preventDefault();
              void send();
            }}
            autosize
            maxRows={8}
            flex={1}
          />
          {running ? (
            <Button color="red" leftSection={<IconPlayerStop size={18} />} onClick={() => running.abort()}>
              {t('play.stop')}
            </Button>
          ) : (
            <Button type="submit" leftSection={<IconSend size={18} />} disabled={model === undefined}>
              {t('play.send')}
            </Button>
          )}
        </Group>
      </form>
    </Page>
  );
}

function Bubble({ turn, waits }: { readonly turn: Turn; readonly waits: boolean }): ReactNode {
  const { t } = useTranslation('member');
  const { figure } = useWriting();
  return (
    <div>
      <Text size="xs" c="dimmed" fw={600}>
        {t(turn.role === 'user' ? 'play.you' : 'play.answer')}
      </Text>
      <Text dir="auto" style={{ whiteSpace: 'pre-wrap', overflowWrap: 'anywhere' }} {...(waits ? { c: 'dimmed' } : {})}>
        {waits ? t('play.waiting') : turn.content}
      </Text>
      {turn.figures && (
        <Text size="xs" c="dimmed">
          {t('play.figures', {
            prompt: figure(turn.figures.prompt),
            completion: figure(turn.figures.completion),
            speed: figure(Math.round(turn.figures.speed * 10) / 10),
          })}
        </Text>
      )}
    </div>
  );
}
