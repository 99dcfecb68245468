// What the exit code of a command says, so that scripts need not read sentences.
export const exitCodes = {
  0: 'Done.',
  1: 'Something failed that the other codes do not name, such as output that could not be written.',
  2: 'Usage: an unknown command or option, or a value that is not valid.',
  3: 'What the command names does not exist.',
  4: 'Refused: not allowed, or in conflict with the current state.',
  5: 'The store cannot be reached or used, or there is none at DATA_DIR.',
  6: 'The settings are not valid.',
  7: 'The gate does not answer.',
} as const;

export type ExitCode = keyof typeof exitCodes;
