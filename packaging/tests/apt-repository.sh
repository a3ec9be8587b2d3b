#!/bin/bash
# Tries apt-repository.sh with apt itself:   packaging/tests/apt-repository.sh
#
# Keys, packages, the repository and apt's state are in a directory of its own, which is removed; nothing is installed.
# Prints one line a check; exit 1 if one failed, 2 if it could not begin.
set -uo pipefail

script=$(dirname "$(realpath "$0")")/../apt-repository.sh
for program in apt-ftparchive gpg apt-get dpkg-deb; do
	command -v "$program" >/dev/null || { echo "$0: $program is not there" >&2; exit 2; }
done
work=$(mktemp -d)
export GNUPGHOME=$work/gnupg LC_ALL=C.UTF-8
trap 'gpgconf --kill all; rm -rf "$work"' EXIT
mkdir -m 700 "$GNUPGHOME"
repo=$work/repo
dists=$repo/dists/stable
arch=$(dpkg --print-architecture)
failed=0

# check NAME COMMAND…: passes if COMMAND succeeds.
check() {
	local name=$1
	shift
	if "$@" >"$work/out" 2>&1; then
		echo "ok    $name"
	else
		echo "FAIL  $name"
		sed 's/^/      /' "$work/out"
		failed=1
	fi
}

# refused TEXT COMMAND…: COMMAND fails and says TEXT.
refused() {
	local text=$1
	shift
	if "$@" >"$work/said" 2>&1; then cat "$work/said"; return 1; fi
	grep -F -- "$text" "$work/said" || { cat "$work/said"; return 1; }
}

# package DIR NAME VERSION CONTENT
package() {
	local tree=$work/tree
	rm -rf "$tree"
	mkdir -p "$tree/DEBIAN" "$tree/usr/share/$2" "$1"
	printf 'Package: %s\nVersion: %s\nArchitecture: %s\nMaintainer: Nobody <nobody@example.org>\nDescription: a test\n' \
		"$2" "$3" "$arch" >"$tree/DEBIAN/control"
	echo "$4" >"$tree/usr/share/$2/content"
	dpkg-deb --root-owner-group -b "$tree" "$1" >/dev/null
}

make_key() { gpg --batch --quiet --passphrase '' --quick-generate-key "$1" ed25519 sign 1d; }

# What apt keeps of a host that is not this one.
host=$work/host
new_host() {
	rm -rf "$host"
	mkdir -p "$host/etc/sources.list.d" "$host/etc/preferences.d" "$host/state/lists/partial" "$host/cache/archives/partial"
	: >"$host/status"
	# The text that the script has printed, with the key where this host has it.
	sed -n '/^Types:/,/^Signed-By:/p' "$work/printed" |
		sed "s|^URIs: file:|URIs: copy:|; s|^Signed-By: .*|Signed-By: ${1:-$repo/pull-and-pray.asc}|" \
			>"$host/etc/sources.list.d/pull-and-pray.sources"
}

apt() {
	local program=$1
	shift
	# Unable to read a list is a failure here, and not a warning beside older lists.
	"$program" -o Dir::Etc="$host/etc" -o Dir::State="$host/state" -o Dir::State::status="$host/status" \
		-o Dir::Cache="$host/cache" -o APT::Sandbox::User= -o APT::Update::Error-Mode=any "$@"
}

candidate() { [ "$(apt apt-cache policy "$1" | sed -n 's/^  Candidate: //p')" = "$2" ]; }
update() { new_host "$@" && apt apt-get update; }
publish() { "$script" "$1" "$repo" "$key" >"$work/published" && cp "$work/published" "$work/printed"; }

make_key "Test <test@example.org>" 2>/dev/null
make_key "Another <another@example.org>" 2>/dev/null
key=test@example.org
for name in pp-one pp-two; do
	package "$work/v1" "$name" 1.0 first
	package "$work/v2" "$name" 1.1~rc1 second
	package "$work/other" "$name" 1.0 "not the first"
done

check "without a key it refuses" refused "signed or not made" "$script" "$work/v1" "$repo"
check "with a key that gpg does not have it refuses" refused "no private key" "$script" "$work/v1" "$repo" nobody@example.org
check "and has made nothing" test ! -e "$repo"

check "a first run" publish "$work/v1"
check "apt takes its signature, with the text that it has printed" update
check "apt finds the first version" candidate pp-one 1.0
cp -r "$dists" "$work/before"

check "a second run, with newer versions" publish "$work/v2"
check "a host that knows the first updates" apt apt-get update
check "the newer version is the candidate" candidate pp-one 1.1~rc1
check "of the other package too" candidate pp-two 1.1~rc1
check "the older one can still be had" apt apt-get --simulate install pp-one=1.0
fetches() { (cd "$work" && apt apt-get download pp-one && cmp pp-one_*.deb "$work/v2/pp-one_1.1~rc1_$arch.deb"); }
check "what apt fetches is what was published" fetches
check "a third run, with nothing new" publish "$work/v2"
check "leaves the candidate" candidate pp-one 1.1~rc1
check "a version with other contents is refused" refused "other contents" publish "$work/other"
check "and the repository is as before" update
check "no work is left in it" test -z "$(find "$repo" -name '.new*')"

# Between two renames: the old InRelease with the new lists, and lists that are gone.
mkdir "$work/new"
cp "$dists"/{InRelease,Release,Release.gpg} "$work/new/"
cp "$work/before"/{InRelease,Release,Release.gpg} "$dists/"
check "a host that has read the old InRelease finds its lists by their hashes" update
check "which are the old ones" candidate pp-one 1.0
cp "$work/new"/* "$dists/"
index=$dists/main/binary-$arch
mkdir "$work/plain"
mv "$index"/Packages* "$work/plain/"
check "a host asks for lists by their hashes alone" update
mv "$work/plain"/* "$index/"

cp -r "$dists" "$work/good"
restore() { rm -rf "$dists"; cp -r "$work/good" "$dists"; }
for file in "$index"/Packages "$index"/by-hash/SHA256/*; do
	[ "$(head -c 2 "$file" | od -An -tx1)" = " 1f 8b" ] || sed -i 's/^Version: 1.1~rc1/Version: 9.9.9.9/' "$file"
done
find "$dists" -name '*.gz' -delete
for file in "$index"/by-hash/SHA256/*; do
	[ "$(head -c 2 "$file" | od -An -tx1)" != " 1f 8b" ] || rm "$file"
done
check "a list that was tampered with is refused" refused "Hash Sum mismatch" update
check "and nothing of it is taken" candidate pp-one ""
restore
sed -i 's/^Suite: stable/Suite: stable /' "$dists/InRelease"
sed -i 's/^Origin: .*/Origin: Somebody/' "$dists/InRelease"
check "an InRelease that was tampered with is refused" refused "signature" update
rm "$dists"/InRelease "$dists"/Release.gpg
check "one without a signature is refused" refused "not signed" update
restore
rm "$dists/InRelease"
check "Release with Release.gpg beside it is taken" update
restore
gpg --batch --armor --export another@example.org >"$work/another.asc"
check "a host that trusts another key refuses" refused "NO_PUBKEY" update "$work/another.asc"
check "everything put back is taken again" update
echo tampered >>"$repo/pool/main/pp-one/pp-one_1.1~rc1_$arch.deb"
rm -f "$work"/pp-one_*.deb
check "a package that was tampered with is refused" refused "Hash Sum mismatch" fetches
key=$(gpg --with-colons --list-secret-keys test@example.org | awk -F: '$1 == "fpr" { print $10; exit }')
echo "content" >"$work/v1/broken.deb"
check "a file that is no package stops it" refused "not a Debian format archive" publish "$work/v1"
check "what is published holds no private key" test -z "$(grep -rl "PRIVATE KEY" "$repo")"

exit $failed
