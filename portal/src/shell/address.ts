// State of a page that is part of its address, so that Back, a reload and a link lead to the same view.
import { useDebouncedCallback } from '@mantine/hooks';
import { useState } from 'react';
import { useLocation, useSearch } from 'wouter';

/** One parameter; the default `otherwise` is left out of the address. */
export function useChosen(name: string, otherwise = ''): readonly [value: string, choose: (value: string) => void] {
  const search = useSearch();
  const [, go] = useLocation();
  const choose = (value: string): void => {
    // The current address, because another parameter may have changed since the last render.
    const all = new URLSearchParams(window.location.search);
    if (value === otherwise || value === '') all.delete(name);
    else all.set(name, value);
    const path = window.location.pathname.slice('/portal'.length);
    go(all.size === 0 ? path : `${path}?${all}`, { replace: true });
  };
  return [new URLSearchParams(search).get(name) ?? otherwise, choose];
}

/** The same for a choice of words; any other word in the address is ignored. */
export function useChosenOf<Word extends string>(
  name: string,
  words: readonly Word[],
  otherwise: Word,
): readonly [value: Word, choose: (value: Word) => void] {
  const [value, choose] = useChosen(name, otherwise);
  return [words.find((word) => word === value) ?? otherwise, choose];
}

/** The same for typed text: the address follows when typing pauses. */
export function useTyped(name: string): readonly [value: string, type: (value: string) => void] {
  const [first, choose] = useChosen(name);
  const [value, setValue] = useState(first);
  const chooseSoon = useDebouncedCallback((typed: string) => choose(typed.trim()), 300);
  const type = (typed: string): void => {
    setValue(typed);
    chooseSoon(typed);
  };
  return [value, type];
}
