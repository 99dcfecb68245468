// Settings of the model servers that are added at run time.
import { z } from 'zod';
import { positiveSeconds, setting } from './kinds.ts';

export const serverSettings = {
  serverFiles: setting(
    'server_files',
    z.string(),
    '',
    'path',
    'Directory of the files (secrets, certificates) that servers added at run time may name; empty: they may name none.',
  ),
  serverSecretKey: setting(
    'server_secret_key',
    z.string(),
    '',
    'path',
    'File with the key that encrypts stored secrets of servers and settings, made with openssl rand -hex 32. Not in data_dir or server_files.',
  ),
  serverDrainSeconds: setting(
    'server_drain_seconds',
    positiveSeconds,
    600,
    's',
    'How long running calls may continue at a model server that is removed.',
  ),
};
