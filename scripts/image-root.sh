#!/bin/sh
# Assembles what the container image adds to its base, after `npm run build`: scripts/image-root.sh DIRECTORY
#   /app                    the built program, the pages and the package of the database
#   /usr/local/bin          node, and the command sekisho
#   /data                   for the database and the journal; the image's user owns it
# The base has a C library and certificates, but no shell.
set -eu
root=$1
node=node_modules/node/bin/node

mkdir -p "$root/app/portal" "$root/usr/local/bin" "$root/data"
cp -R dist package.json LICENSE README.md README.ja.md "$root/app/"
cp -R portal/dist "$root/app/portal/dist"

# The one package that dist/ does not contain, without its sources and its builds for other platforms.
sqlite=$root/app/node_modules/better-sqlite3
mkdir -p "$sqlite/prebuilds"
cp -R node_modules/better-sqlite3/package.json node_modules/better-sqlite3/LICENSE node_modules/better-sqlite3/lib "$sqlite/"
cp "node_modules/better-sqlite3/prebuilds/$($node -p '`${process.platform}-${process.arch}`').node" "$sqlite/prebuilds/"

strip -o "$root/usr/local/bin/node" "$node"
printf '#!/usr/local/bin/node\nimport("/app/dist/cli.js");\n' >"$root/usr/local/bin/sekisho"
chmod 755 "$root/usr/local/bin/node" "$root/usr/local/bin/sekisho"
# The one library that Node needs and the base lacks.
atomic=$(ldd "$node" | awk '$1 == "libatomic.so.1" { print $3 }')
if [ -n "$atomic" ]; then
  at=$root$(dirname "$(readlink -f "$atomic")")
  mkdir -p "$at"
  cp -L "$atomic" "$at/libatomic.so.1"
fi

chown 65532:65532 "$root/data"
chmod 700 "$root/data"
