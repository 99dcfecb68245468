// The examples that every `--help` shows: those of a command, the first of each command in a group, and a few at the top.
import type { Command } from 'commander';

/** By command; what stands there runs after `sekisho`. */
export const examples: Readonly<Record<string, readonly string[]>> = {
  serve: ['serve'],
  config: ['config', 'config --json'],
  health: ['health', 'health --ready'],
  migrate: ['migrate --to postgres://sekisho:password@localhost/sekisho', 'migrate --to sqlite:./data'],
  'journal adopt': ['journal adopt /mnt/gate-2/data'],
  'key create': [
    'key create --name laptop --account alice',
    "key create --name ci --account alice --models 'gemma3:*,llama3' --expires 30d",
    'key create --name slow --account alice --limit tokensPerDay=50000',
  ],
  'key list': ['key list', 'key list --account alice'],
  'key show': ['key show key_zvlVMaolT9WJ'],
  'key revoke': ['key revoke key_zvlVMaolT9WJ', 'key revoke key_zvlVMaolT9WJ --yes --json'],
  'key rotate': ['key rotate key_zvlVMaolT9WJ --grace 24h', 'key rotate key_zvlVMaolT9WJ --yes'],
  'account list': ['account list', 'account list --json'],
  'account show': ['account show alice'],
  'account create': ['account create alice', 'account create alice --plan trusted', 'account create bob --operator'],
  'account set': ['account set alice --plan trusted', 'account set alice --role auditor'],
  'account link': ['account link alice'],
  'account close': ['account close alice', 'account close alice --yes'],
  'plan list': ['plan list'],
  'plan show': ['plan show default'],
  'plan create': ['plan create night tokensPerDay=500000 models=gemma3:*', 'plan create lab --like trusted'],
  'plan set': ['plan set default tokensPerDay=500000', 'plan set default tokensPerDay=none'],
  'plan delete': ['plan delete night', 'plan delete night --yes'],
  'model list': ['model list'],
  'model show': ['model show default'],
  'model add': [
    'model add default target=gemma3:4b fallbacks=gemma3:1b',
    'model add gpt-4o-mini target=Qwen/Qwen3-8B plan:trial=gemma3:1b',
    'model add gemma3:27b fallbacks=gemma3:4b',
  ],
  'model set': ['model set default target=gemma3:12b', 'model set default fallbacks=none plan:trial=none'],
  'model remove': ['model remove default', 'model remove default --yes'],
  'model pull': [
    'model pull gemma3:4b --server all',
    'model pull gemma3:4b --server box1,box2 --url https://gate.example.com',
  ],
  'model copy': ['model copy gemma3:4b work --server all'],
  'model delete': ['model delete gemma3:4b --server box2 --yes', 'model delete gemma3:4b --server all --yes'],
  'registration show': ['registration show'],
  'registration set': ['registration set mode=approval', 'registration set mode=domain domains=example.org plan=trial'],
  'invite create': ['invite create', 'invite create --email alice@example.org --plan trusted --expires 3d'],
  'invite list': ['invite list'],
  'application list': ['application list', 'application list --all'],
  'application show': ['application show app_zvlVMaolT9WJ'],
  'application approve': ['application approve app_zvlVMaolT9WJ --plan trusted'],
  'application reject': ["application reject app_zvlVMaolT9WJ --text 'Ask again next term.'"],
  'suspension list': ['suspension list', 'suspension list --account alice --all'],
  'suspension show': ['suspension show sus_zvlVMaolT9WJ'],
  'suspension create': [
    "suspension create alice --reason 'Too many calls at night.' --for 12h",
    "suspension create key_zvlVMaolT9WJ --step slow --reason 'A loop?'",
  ],
  'suspension lift': ['suspension lift sus_zvlVMaolT9WJ'],
  'suspension appeal': ["suspension appeal sus_zvlVMaolT9WJ --text 'It was a loop; it is fixed.'"],
  'suspension answer': ["suspension answer sus_zvlVMaolT9WJ --text 'Thank you.' --lift"],
  'rule list': ['rule list'],
  'rule show': ['rule show call-flood'],
  'rule create': [
    'rule create night measure=tokens per=account windowSeconds=3600 threshold=100000 step=slow durationSeconds=3600 shadow=on',
  ],
  'rule set': ['rule set night threshold=5000000', 'rule set night enabled=off'],
  'rule delete': ['rule delete night', 'rule delete night --yes'],
  usage: [
    'usage',
    'usage --account alice --since 24h',
    'usage --outcome refused --limit 100',
    'usage --asked default --since 7d',
    'usage --by account --since 7d',
    'usage --by model --outcome failed --since 24h',
    'usage --by day --key key_zvlVMaolT9WJ --json',
  ],
  'request list': [
    'request list --account alice --since 1h',
    'request list --code rate_limited --limit 100',
    'request list --model gemma3:27b --slower-than 30000 --json',
  ],
  'request show': ['request show req_0TvcqqlEciUXBU3ekzdM', 'request show req_0TvcqqlEciUXBU3ekzdM --json'],
  latency: ['latency', 'latency --period week --by server', 'latency --period hour --by time --model gemma3:27b'],
  'route list': ['route list'],
  'route show': ['route show qdrant', 'route show qdrant --json'],
  'route add': [
    'route add qdrant path=/qdrant upstreams=http://127.0.0.1:6333 methods=GET,POST,PUT secretFile=qdrant.secret',
    'route add whisper path=/whisper upstreams=http://127.0.0.1:8000 slots=1 cost.perSecond=1 cost.unit=seconds',
    'route add comfy --file comfy.jsonc',
  ],
  'route set': ['route set qdrant methods=GET,POST', 'route set whisper cost=none timeouts.total=600'],
  'route remove': ['route remove qdrant', 'route remove qdrant --yes'],
  'server list': ['server list'],
  'server show': ['server show box2'],
  'server add': [
    'server add box2 http://10.0.0.7:11434',
    'server add box3 http://10.0.0.8:8000/v1 kind=vllm weight=2 --secret < key.txt',
  ],
  'server set': ['server set box2 weight=3', 'server set box2 --no-secret'],
  'server drain': ['server drain box2'],
  'server reseal': ['server reseal'],
  'server remove': ['server remove box2', 'server remove box2 --yes'],
  'announcement list': ['announcement list'],
  'announcement show': ['announcement show ann_zvlVMaolT9WJ'],
  'announcement create': [
    "announcement create --en 'A new model: gemma3:27b.' --ja '新しいモデル: gemma3:27b' --until 7d",
    "announcement create --en 'Maintenance on Friday at 18:00.' --header --until 2027-01-31T18:00:00Z",
  ],
  'announcement set': ['announcement set ann_zvlVMaolT9WJ --until 2d', 'announcement set ann_zvlVMaolT9WJ --no-header'],
  'announcement delete': ['announcement delete ann_zvlVMaolT9WJ --yes'],
  'setting list': ['setting list', 'setting list --group mail --json'],
  'setting set': [
    'setting set gate_name=Campus appeal_contact=help@example.org',
    'setting set smtp_url=smtps://gate@mail.example.org smtp_password=- mail_from=gate@example.org < password.txt',
    'setting set logo=@logo.svg',
  ],
  'setting reset': ['setting reset gate_name'],
  'setting changes': ['setting changes', 'setting changes --limit 200 --json'],
  'setting undo': ['setting undo chg_zvlVMaolT9WJ'],
  'maintenance on': [
    "maintenance on --message 'New disks; back by noon.' --for 90m",
    'maintenance on --until 2027-01-31T12:00:00Z',
  ],
  'maintenance off': ['maintenance off'],
  'maintenance show': ['maintenance show', 'maintenance show --json'],
  audit: ['audit', 'audit --actor alice --action key --since 24h', 'audit --limit 500 --json'],
  completion: [
    'completion bash > ~/.local/share/bash-completion/completions/sekisho',
    'completion zsh > ~/.zfunc/_sekisho',
    'completion fish > ~/.config/fish/completions/sekisho.fish',
  ],
};

/** What a newcomer does first. */
const first = ['serve', 'key create', 'registration set', 'usage', 'request list'];

/** Adds them to the help of every command. */
export function addExamples(program: Command): void {
  const leaves = leavesOf(program);
  for (const { path, command } of leaves) addLines(command, examples[path]);
  for (const group of program.commands.filter(({ commands }) => commands.length > 0))
    addLines(group, firstOf(leaves.flatMap(({ path }) => (path.startsWith(`${group.name()} `) ? [path] : []))));
  addLines(program, firstOf(first));
}

const firstOf = (paths: readonly string[]): string[] => paths.flatMap((path) => examples[path]?.slice(0, 1) ?? []);

function addLines(command: Command, lines: readonly string[] = []): void {
  if (lines.length > 0)
    command.addHelpText('after', `\nExamples:\n${lines.map((line) => `  $ sekisho ${line}`).join('\n')}`);
}

/** The commands that do something, with the words that lead to them. */
export function leavesOf(program: Command, path = ''): { readonly path: string; readonly command: Command }[] {
  return program.commands.flatMap((command) => {
    const way = `${path} ${command.name()}`.trimStart();
    return command.commands.length > 0 ? leavesOf(command, way) : [{ path: way, command }];
  });
}
