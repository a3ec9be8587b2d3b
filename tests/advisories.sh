#!/bin/bash
# Checks every crate of Cargo.lock against the RustSec database:   tests/advisories.sh [DATABASE]
#
# DATABASE: a clone of https://github.com/rustsec/advisory-db, for a machine without a way there; without it, it is
# fetched. Says which state of the database was asked, and how old that is.
# Exit: 0 nothing known; 1 something is; 2 usage; 3 the database could not be had, or is over 30 days old.
set -uo pipefail

[ $# -le 1 ] || { echo "usage: $0 [DATABASE]" >&2; exit 2; }
database=${1:+$(realpath -m "$1")}
cd "$(dirname "$(realpath "$0")")/.." || exit 2
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
. tests/tools.sh

url=https://github.com/rustsec/advisory-db
oldest=30

if [ -z "$database" ]; then
	database=$target/tools/advisory-db
	if [ -d "$database/.git" ]; then
		git -C "$database" pull --quiet --ff-only </dev/null
	else
		git clone --quiet "$url" "$database" </dev/null
	fi || { echo "the database cannot be fetched from $url: name a clone of it"; exit 3; }
fi
when=$(git -C "$database" log -1 --format=%ct 2>/dev/null) || { echo "$database is no clone of $url"; exit 3; }
age=$((($(date +%s) - when) / 86400))
echo "database: $url at $(git -C "$database" log -1 --format=%h), of $(date -u -d "@$when" +%F), $age days old"

deny=$(cargo_deny) || { echo "cargo-deny $CARGO_DENY could not be installed"; exit 3; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The same rules. git takes the database that was just named wherever that address is asked for.
sed "s|^\[advisories\]|&\ndb-path = \"$work/db\"\ndb-urls = [\"$url\"]\ngit-fetch-with-cli = true|" deny.toml >"$work/deny.toml"
export GIT_CONFIG_COUNT=2 GIT_CONFIG_KEY_0="url.file://$database.insteadOf" GIT_CONFIG_VALUE_0="$url"
export GIT_CONFIG_KEY_1=safe.directory GIT_CONFIG_VALUE_1="*"
"$deny" --locked --config "$work/deny.toml" check advisories || exit 1
if [ "$age" -gt "$oldest" ]; then
	echo "the database is over $oldest days old: its answer says little"
	exit 3
fi
echo "no crate of Cargo.lock is in it"
