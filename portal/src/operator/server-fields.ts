// The form fields of a model server, and their conversion to the request.
import type { Server } from '../api-types.ts';
import type { Entered } from '../shell/number-field.tsx';

export interface Fields {
  readonly name: string;
  readonly address: string;
  /** Empty: detected automatically. */
  readonly kind: string;
  readonly weight: Entered;
  /** A line for each model. */
  readonly slots: string;
  /** Empty: the stored secret stays. */
  readonly secret: string;
  readonly noSecret: boolean;
  readonly secretFile: string;
  readonly caFile: string;
  readonly certificateFile: string;
  readonly keyFile: string;
  readonly plans: readonly string[];
  readonly accounts: readonly string[];
}

export const newServer: Fields = {
  name: '',
  address: '',
  kind: '',
  weight: 1,
  slots: '',
  secret: '',
  noSecret: false,
  secretFile: '',
  caFile: '',
  certificateFile: '',
  keyFile: '',
  plans: [],
  accounts: [],
};

export function fieldsOf(server: Server): Fields {
  return {
    ...newServer,
    name: server.name,
    address: server.address,
    kind: server.kind ?? '',
    weight: server.weight,
    slots: Object.entries(server.slots ?? {})
      .map(([model, count]) => `${model}=${count}`)
      .join('\n'),
    secretFile: server.secret?.file ?? '',
    caFile: server.caFile ?? '',
    certificateFile: server.certificateFile ?? '',
    keyFile: server.keyFile ?? '',
    plans: server.plans ?? [],
    accounts: server.accounts ?? [],
  };
}

/** One `gemma3:4b=2` per line; the gateway refuses invalid ones. Null: none. */
export function readSlots(text: string): Record<string, number> | null {
  const lines = text.split('\n').map((line) => line.trim());
  const entries = lines.flatMap((line): [string, number][] => {
    if (line === '') return [];
    const at = line.lastIndexOf('=');
    return at < 0 ? [[line, 0]] : [[line.slice(0, at).trim(), Number(line.slice(at + 1))]];
  });
  return entries.length === 0 ? null : Object.fromEntries(entries);
}
