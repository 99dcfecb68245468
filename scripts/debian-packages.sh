#!/bin/sh
# Installs the named Debian packages when their command is missing: scripts/debian-packages.sh curl nginx …
# A package whose command has another name is written package=command.
set -eu
missing=""
for entry in "$@"; do
  package="${entry%%=*}"
  command="${entry#*=}"
  command -v "$command" >/dev/null 2>&1 || missing="$missing $package"
done
[ -z "$missing" ] && exit 0
if ! command -v apt-get >/dev/null 2>&1 || [ "$(id -u)" != 0 ]; then
  echo "Missing:$missing. Install it with your package manager, then run this again." >&2
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq >/dev/null
# shellcheck disable=SC2086
apt-get install -y -qq --no-install-recommends $missing >/dev/null
