// The settings that apply to model servers added at run time, for the management API and the command line.
import { readServerAddress } from '../../domain/model-server.ts';
import { isOwnAddress } from './own-address.ts';

export interface ServerRules {
  readonly kinds: readonly string[];
  /** Addresses in the settings. */
  readonly fixed: readonly string[];
  readonly isOwn: (address: string) => boolean;
  /** Whether they may refer to files. */
  readonly hasFiles: boolean;
  /** The file with the key for stored secrets; empty if there is none. */
  readonly keyFile: string;
}

/** The settings that are used here. */
export interface ServerRuleSettings {
  readonly host: string;
  readonly port: number;
  readonly httpPort: number;
  readonly publicUrl: string;
  readonly upstream: readonly string[];
  readonly serverFiles: string;
  readonly serverSecretKey: string;
}

export const serverRulesOf = (settings: ServerRuleSettings, kinds: readonly string[]): ServerRules => ({
  kinds,
  fixed: settings.upstream.map(readServerAddress),
  isOwn: (address) => isOwnAddress(address, { ...settings, ports: [settings.port, settings.httpPort] }),
  hasFiles: settings.serverFiles !== '',
  keyFile: settings.serverSecretKey,
});
