// What the settings of a gate say about model servers that are added at run time; the management API and the command line
// hold them to the same.
import { readServerAddress } from '../../domain/model-server.ts';
import { isOwnAddress } from './own-address.ts';

export interface ServerRules {
  readonly kinds: readonly string[];
  /** Addresses that the settings name. */
  readonly fixed: readonly string[];
  readonly isOwn: (address: string) => boolean;
  /** May they name files? */
  readonly hasFiles: boolean;
  /** Where the key for stored secrets is; empty: nowhere. */
  readonly keyFile: string;
}

/** The settings that are read here. */
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
