// Shows a document of the product, which ships with this gateway, in the language of the page where there is one.
import { Anchor, Code, List, ScrollArea, Skeleton, Table, Text, Title, Typography } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Fragment, type ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { Link, useParams } from 'wouter';
import { CardTable } from '../shell/card-table.tsx';
import { Missing } from '../shell/missing.tsx';
import { Page } from '../shell/page.tsx';
import { type Block, readBlocks, readInline } from './markdown.ts';

export default function Document(): ReactNode {
  const { name = '' } = useParams();
  const { t, i18n } = useTranslation('shell');
  const { language } = i18n;
  const document = useQuery({
    queryKey: ['document', name, language],
    queryFn: () => readDocument(name, language),
    staleTime: Number.POSITIVE_INFINITY,
  });
  if (document.isPending) return <Skeleton height={240} />;
  if (!document.data) return <Missing />;
  const [first, ...rest] = document.data.blocks;
  return (
    <Page
      title={first?.kind === 'heading' ? first.text : name}
      {...(document.data.language === language ? {} : { lead: t('englishOnly') })}
    >
      <Typography className="document" lang={document.data.language} maw={860}>
        {rest.map((block, i) => (
          // oxlint-disable-next-line react/no-array-index-key -- a document does not change
          <Drawn key={i} block={block} />
        ))}
      </Typography>
    </Page>
  );
}

interface Read {
  readonly blocks: readonly Block[];
  readonly language: string;
}

/** In the language of the page where there is such a text, else in English. Null: there is no such document. */
async function readDocument(name: string, language: string): Promise<Read | null> {
  const file = `${encodeURIComponent(name)}.md`;
  if (language !== 'en') {
    const translated = await fetch(`/portal/docs/${language}/${file}`);
    if (translated.ok) return { blocks: readBlocks(await translated.text()), language };
  }
  const response = await fetch(`/portal/docs/${file}`);
  return response.ok ? { blocks: readBlocks(await response.text()), language: 'en' } : null;
}

function Drawn({ block }: { readonly block: Block }): ReactNode {
  switch (block.kind) {
    case 'heading':
      return (
        <Title order={Math.min(6, Math.max(2, block.level)) as 2 | 3 | 4 | 5 | 6} size="h4">
          <Line text={block.text} />
        </Title>
      );
    case 'code':
      return (
        <pre tabIndex={0}>
          <code>{block.text}</code>
        </pre>
      );
    case 'list':
      return (
        <List type={block.ordered ? 'ordered' : 'unordered'}>
          {block.items.map((item, i) => (
            // oxlint-disable-next-line react/no-array-index-key -- a document does not change
            <List.Item key={i}>
              <Line text={item} />
            </List.Item>
          ))}
        </List>
      );
    case 'table':
      return <Drawing head={block.head} rows={block.rows} />;
    case 'quote':
    case 'paragraph':
      return (
        <Text component="p" {...(block.kind === 'quote' ? { c: 'dimmed' } : {})}>
          <Line text={block.text} />
        </Text>
      );
  }
}

function Drawing({
  head,
  rows,
}: {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}): ReactNode {
  return (
    <ScrollArea type="auto" viewportProps={{ tabIndex: 0, role: 'region', 'aria-label': head.join(', ') }}>
      <CardTable miw={520} verticalSpacing="xs" className="cards prose">
        <Table.Thead>
          <Table.Tr>
            {head.map((cell) => (
              <Table.Th key={cell}>
                <Line text={cell} />
              </Table.Th>
            ))}
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {rows.map((row) => (
            <Table.Tr key={row.join('|')}>
              {row.map((cell, i) => (
                // oxlint-disable-next-line react/no-array-index-key -- a document does not change
                <Table.Td key={i}>
                  <Line text={cell} />
                </Table.Td>
              ))}
            </Table.Tr>
          ))}
        </Table.Tbody>
      </CardTable>
    </ScrollArea>
  );
}

/** Links to other shipped documents work; links to other files of the repository become text. */
function Line({ text }: { readonly text: string }): ReactNode {
  return readInline(text).map((piece, i) => {
    // oxlint-disable-next-line react/no-array-index-key -- a document does not change
    const key = i;
    if (piece.kind === 'code') return <Code key={key}>{piece.text}</Code>;
    if (piece.kind === 'strong') return <b key={key}>{piece.text}</b>;
    const to = piece.kind === 'link' ? /^(?:\.\.\/)?([\w-]+)\.md(?:#.*)?$/.exec(piece.to)?.[1] : undefined;
    if (to === undefined) return <Fragment key={key}>{piece.text}</Fragment>;
    return (
      <Anchor key={key} component={Link} href={`/help/${to}`}>
        {piece.text}
      </Anchor>
    );
  });
}
