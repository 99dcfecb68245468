// `sekisho completion <shell>`: a script that completes commands and options, made from the commands themselves.
import { Argument, type Command } from 'commander';
import { print } from './command.ts';

export const shells = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof shells)[number];

export function completionCommand(program: Command): void {
  program
    .command('completion')
    .addArgument(new Argument('<shell>').choices(shells))
    .description('print a completion script for a shell')
    .action((shell: Shell) => print(scriptOf(shell, program)));
}

interface Place {
  /** The commands that lead here, such as `key create`; empty at the top. */
  readonly path: string;
  readonly words: readonly { readonly word: string; readonly meaning: string }[];
}

/** Every command, with what may come next: its own commands, or its options. */
function placesOf(command: Command, path = ''): Place[] {
  const shown = command.commands.filter((each) => each.name() !== 'help');
  const words = [
    ...shown.map((each) => ({ word: each.name(), meaning: each.description() })),
    ...command.options.map(({ long, description }) => ({ word: long ?? '', meaning: description })),
    { word: '--help', meaning: 'display help for command' },
  ].filter(({ word }) => /^[\w-]+$/.test(word));
  const below = shown.flatMap((each) => placesOf(each, `${path} ${each.name()}`.trimStart()));
  return [{ path, words }, ...below];
}

function scriptOf(shell: Shell, program: Command): string {
  const places = placesOf(program);
  if (shell === 'fish') return fishScript(places);
  const cases = places.map(({ path, words }) => `    '${path}') next='${words.map(({ word }) => word).join(' ')}' ;;`);
  return shell === 'bash' ? bashScript(cases) : zshScript(cases);
}

/** `path` collects the words before the cursor as far as they are commands. */
const bashScript = (cases: readonly string[]): string => `# bash completion for sekisho
_sekisho() {
  local word path='' next='' at
  for ((at = 1; at < COMP_CWORD; at++)); do
    word=\${COMP_WORDS[at]}
    [[ $word == -* ]] && break
    [[ -z $path || $path != *' '* ]] && path="\${path:+$path }$word"
  done
  case "$path" in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$next" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -F _sekisho sekisho`;

const zshScript = (cases: readonly string[]): string => `#compdef sekisho
_sekisho() {
  local way='' next='' at
  for ((at = 2; at < CURRENT; at++)); do
    [[ \${words[at]} == -* ]] && break
    [[ -z $way || $way != *' '* ]] && way="\${way:+$way }\${words[at]}"
  done
  case "$way" in
${cases.join('\n')}
  esac
  compadd -- \${=next}
}
compdef _sekisho sekisho`;

function fishScript(places: readonly Place[]): string {
  const lines = places.flatMap(({ path, words }) => {
    const condition = path === '' ? '__fish_use_subcommand' : `__sekisho_at ${path}`;
    return words.map(({ word, meaning }) => {
      const what = word.startsWith('--') ? `-l ${word.slice(2)}` : `-a ${word}`;
      return `complete -c sekisho -f -n '${condition}' ${what} -d ${quoted(meaning)}`;
    });
  });
  return `# fish completion for sekisho
function __sekisho_at
  set -l typed (commandline -opc)[2..-1]
  set -l count (count $argv)
  test (count $typed) -ge $count; or return 1
  test "$typed[1..$count]" = "$argv"
end
${lines.join('\n')}`;
}

const quoted = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
