#!/bin/sh
# Installs the packages of the given folders, each from its own lock file, unless that has been done. The folders keep what
# `npm start` does not need out of the first installation: the tests' clients, and Deno.
set -e
for folder; do
  done=$folder/node_modules/.package-lock.json
  if [ -e "$done" ] && [ -z "$(find "$folder/package-lock.json" -newer "$done")" ]; then continue; fi
  echo "Installing the packages of $folder"
  npm ci --prefix "$folder" --fund=false --audit=false --loglevel=error
done
