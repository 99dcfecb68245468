#!/bin/sh
# Installs the named Debian packages whose command is missing, and says which: scripts/debian-packages.sh curl nginx …
# If nothing is missing it does nothing and contacts no package server. Write a package whose command has another name as
# package=command.
set -eu
missing=""
commands=""
for entry in "$@"; do
  package="${entry%%=*}"
  command="${entry#*=}"
  command -v "$command" >/dev/null 2>&1 && continue
  missing="$missing $package"
  commands="$commands $command"
done
[ -z "$missing" ] && exit 0
if ! command -v apt-get >/dev/null 2>&1 || [ "$(id -u)" != 0 ]; then
  echo "These commands are missing:$commands. Install them with your package manager (Debian:$missing), then run this again." >&2
  exit 1
fi
echo "These commands are missing:$commands. Installing the Debian packages:$missing" >&2
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq >/dev/null
# shellcheck disable=SC2086
apt-get install -y -qq --no-install-recommends $missing >/dev/null
