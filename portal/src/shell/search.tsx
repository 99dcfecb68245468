// A search field that queries the server when typing pauses, and is part of the address.
import { TextInput } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import type { ReactNode } from 'react';
import { IconSearch } from '../icons.ts';
import { useTyped } from './address.ts';

/** The field, and the search text. */
export function useSearch(label: string): readonly [field: ReactNode, search: string] {
  const [text, setText] = useTyped('q');
  const [search] = useDebouncedValue(text.trim(), 300);
  const field = (
    <TextInput
      aria-label={label}
      placeholder={label}
      leftSection={<IconSearch size={16} />}
      value={text}
      onChange={(event) => setText(event.currentTarget.value)}
      type="search"
      w={{ base: '100%', xs: 280 }}
    />
  );
  return [field, search];
}
