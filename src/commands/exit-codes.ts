// What the exit code of a command says, so that scripts need not read sentences.
export const exitCodes = {
  0: 'Done.',
  1: 'Any other failure, such as output that could not be written.',
  2: 'Usage error: an unknown command or option, or an invalid value.',
  3: 'Not found: the command names something that does not exist.',
  4: 'Refused: not allowed, or in conflict with the current state.',
  5: 'The store cannot be opened or used, or DATA_DIR has none.',
  6: 'Invalid settings.',
  7: 'The gateway cannot be reached.',
} as const;

export type ExitCode = keyof typeof exitCodes;
