#!/bin/sh
# Assembles what the container image adds to its base, after `npm run build`: scripts/image-root.sh DIRECTORY
#   /app                    the built program, the pages and the packages that run
#   /usr/local/bin          node, and the command sekisho
#   /data                   for the database and the journal; the image's user owns it
# The base has a C library and certificates, but no shell.
set -eu
root=$1
node=node_modules/node/bin/node

mkdir -p "$root/app/portal" "$root/usr/local/bin" "$root/data"
cp -R dist package.json package-lock.json .npmrc LICENSE README.md README.ja.md "$root/app/"
cp -R portal/dist "$root/app/portal/dist"

# Peers and optional packages are tools that better-auth can be combined with.
(cd "$root/app" && npm ci --omit=dev --omit=optional --omit=peer --ignore-scripts)
rm "$root/app/package-lock.json" "$root/app/.npmrc" "$root/app/node_modules/.package-lock.json"

# Nothing below runs: sources of the native module, its builds for other platforms, types and source maps.
sqlite=$root/app/node_modules/better-sqlite3
platform=$($node -p '`${process.platform}-${process.arch}`')
rm -rf "$sqlite/deps" "$sqlite/src"
find "$sqlite/prebuilds" -type f ! -name "$platform.node" -delete
find "$root/app" -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' \) -delete

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
