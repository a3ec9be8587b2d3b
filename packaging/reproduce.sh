#!/bin/bash
# Are the packages the same, whoever makes them?   packaging/reproduce.sh BINDIR
#
# Assembles the programs of BINDIR (target/release) twice: in directories of different names, with another umask,
# time zone, language, home, flags and, where root runs this, as another user. Exit 1 and the difference, if there
# is one.
#
# This does not compile. Programs built from one revision with one Rust toolchain and one Debian release are the same
# wherever the checkout and the crates are, since build.sh takes their paths out. To see it, build in two checkouts
# with two CARGO_HOMEs, and compare the sha256 sums of the packages.
set -euo pipefail

[ $# = 1 ] || { echo "usage: $0 BINDIR" >&2; exit 2; }
here=$(dirname "$(realpath "$0")")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Another user has to reach it.
chmod 755 "$work"
# Any date will do; the copies are no checkouts, which have one.
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-1000000000}

mkdir "$work/bin"
for program in pp-restarter pp-restart pp-fetcher pp-git-worker pp-notify pp-pages; do
	install -m 755 "$1/$program" "$work/bin/"
done

# assemble NAME UMASK USER VARIABLE=VALUE…: what assemble.sh reads is copied, in a process of that umask.
assemble() (
	copy=$work/$1
	umask "$2"
	user=$3
	shift 3
	mkdir -p "$copy/home" "$copy/tmp"
	cp -r "$here" "$copy/packaging"
	cp -r "$here"/../{Cargo.toml,CHANGELOG.md,README.md,docs} "$copy/"
	as=()
	if [ "$(id -u)" = 0 ] && [ "$user" != 0 ]; then
		chown -R "$user:$user" "$copy"
		as=(setpriv "--reuid=$user" "--regid=$user" --clear-groups)
	fi
	env "$@" HOME="$copy/home" TMPDIR="$copy/tmp" "${as[@]}" \
		"$copy/packaging/assemble.sh" "$work/bin" "$copy/debs" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
	cd "$copy/debs"
	sha256sum -- *.deb
)

assemble one 022 0 LC_ALL=C TZ=UTC COLUMNS=200 >"$work/one.sums" || { cat "$work/one.sums"; exit 1; }
assemble "the other one" 077 65534 LC_ALL=C.UTF-8 TZ=Asia/Tokyo COLUMNS=40 DEB_BUILD_OPTIONS=nostrip \
	CFLAGS=-g >"$work/two.sums" || { cat "$work/two.sums"; exit 1; }
cat "$work/one.sums"
if ! diff "$work/one.sums" "$work/two.sums"; then
	for deb in "$work"/one/debs/*.deb; do
		diff <(dpkg-deb -c "$deb") <(dpkg-deb -c "$work/the other one/debs/$(basename "$deb")") || true
	done
	echo "reproduce: the packages differ" >&2
	exit 1
fi
echo "reproduce: the packages are the same"
