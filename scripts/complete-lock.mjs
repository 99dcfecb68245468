// Completes package-lock.json after an `npm install`: npm omits optional packages of other platforms when the registry in
// use does not carry them, and `npm ci` then refuses the whole file. Each missing one gets an entry with its version and
// platform, so that it is skipped here and fetched where it is needed. Without the C library, npm installs the packages for
// musl beside those for glibc. Run it after changing dependencies, with the folder of the lock file if it is not this one.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { argv } from 'node:process';

const file = join(argv[2] ?? '.', 'package-lock.json');
const lock = JSON.parse(readFileSync(file, 'utf8'));
const { packages } = lock;
const systems = ['android', 'darwin', 'freebsd', 'linux', 'netbsd', 'openbsd', 'openharmony', 'sunos', 'aix', 'win32'];
const processors = ['arm64', 'x64', 'arm', 'ia32', 'ppc64', 'riscv64', 's390x', 'loong64', 'mips64el', 'mipsel'];
let added = 0;
for (const entry of Object.values(packages)) {
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    const path = `node_modules/${name}`;
    if (packages[path]) continue;
    const words = name.split(/[/@_-]/);
    const os = systems.filter((system) => words.includes(system));
    const cpu = processors.filter((processor) =>
      words.some((word) => word === processor || (processor === 'arm' && /^arm(v7|eabi|hf)?$/.test(word))),
    );
    if (os.length === 0) throw new Error(`${name} names no platform`);
    packages[path] = {
      version,
      ...(cpu.length > 0 ? { cpu } : {}),
      ...(entry.dev ? { dev: true } : {}),
      optional: true,
      os,
    };
    added++;
  }
}
const libraries = { musl: /musl/, glibc: /gnu|glibc/ };
for (const [path, entry] of Object.entries(packages)) {
  if (!entry.os?.includes('linux')) continue;
  const libc = Object.keys(libraries).filter((name) => libraries[name].test(path));
  if (libc.length > 0) entry.libc ??= libc;
}
// Its prebuilt binaries are in the package, but npm runs `node-gyp rebuild` wherever there is a binding.gyp, which needs Python
// even to build nothing.
const sqlite = packages['node_modules/better-sqlite3'];
if (sqlite) sqlite.gypfile = false;
lock.packages = Object.fromEntries(Object.entries(packages).toSorted(([a], [b]) => (a < b ? -1 : 1)));
writeFileSync(file, `${JSON.stringify(lock, undefined, 2)}\n`);
process.stdout.write(`${added} packages of other platforms added to ${file}\n`);
