// Fields that name a model: what the servers have is offered, and anything else can be written, since a model may be away or come
// later, and names with * stand for many.
import { Autocomplete, TagsInput } from '@mantine/core';
import type { ReactNode } from 'react';
import { useGet } from '../api.ts';
import type { Model, PageOf } from '../api-types.ts';

function useModels(): string[] {
  const models = useGet<PageOf<Model>>('/me/models');
  return [...new Set(models.data?.items.map(({ name }) => name))].toSorted();
}

interface LabelProps {
  readonly label: string;
  readonly description?: string;
  readonly placeholder?: string;
  readonly required?: boolean;
}

export interface ModelFieldProps extends LabelProps {
  readonly value: string;
  readonly onChange: (model: string) => void;
}

export const ModelField = (props: ModelFieldProps): ReactNode => (
  <Autocomplete {...props} data={useModels()} maxLength={200} limit={50} />
);

export interface ModelsFieldProps extends LabelProps {
  readonly value: readonly string[];
  readonly onChange: (models: string[]) => void;
}

/** Several models or patterns. */
export const ModelsField = ({ value, ...rest }: ModelsFieldProps): ReactNode => (
  <TagsInput
    {...rest}
    data={useModels()}
    value={[...value]}
    splitChars={[',', '、', ' ']}
    acceptValueOnBlur
    limit={50}
  />
);
