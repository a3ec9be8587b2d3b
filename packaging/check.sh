#!/bin/bash
# Checks what is packaged:   packaging/check.sh DEBDIR
#
# DEBDIR holds the packages that build.sh made. Prints one line a check; exit 1 if one failed, 3 if
# none failed and one was skipped for want of a program.
set -uo pipefail

[ $# = 1 ] || { echo "usage: $0 DEBDIR" >&2; exit 2; }
debs=("$1"/pp-restarter_*.deb "$1"/pp-fetcher_*.deb "$1"/pp-notify_*.deb)
for deb in "${debs[@]}"; do
	[ -f "$deb" ] || { echo "$0: $deb is not there; packaging/build.sh $1 makes it" >&2; exit 2; }
done
here=$(dirname "$(realpath "$0")")
work=$(mktemp -d)
# What tests/run.sh has fetched.
PATH=$PATH:$here/../target/tools/bin
trap 'rm -rf "$work"' EXIT
root=$work/root
mkdir "$root"
for deb in "${debs[@]}"; do dpkg-deb -x "$deb" "$root"; done
if [ -d "$root/usr/lib/systemd/system" ]; then units=$root/usr/lib/systemd/system; else units=$root/lib/systemd/system; fi

failed=0 skipped=0

# check NAME PROGRAM FUNCTION [ARGUMENT…]: passes if FUNCTION succeeds.
check() {
	local name=$1 program=$2
	shift 2
	if ! command -v "$program" >/dev/null; then
		echo "skip  $name ($program is not there)"
		skipped=1
	elif "$@" >"$work/out" 2>&1; then
		echo "ok    $name"
	else
		echo "FAIL  $name"
		sed 's/^/      /' "$work/out"
		failed=1
	fi
}

lint() { lintian --fail-on error,warning --allow-root "${debs[@]}"; }

# --root: the binaries and targets are looked for below it, so it needs this machine's own units.
verify() {
	local copy=$work/verify
	rm -rf "$copy"
	mkdir -p "$copy/usr/lib" "$copy/bin"
	cp -r "$root/usr/bin" "$root/usr/sbin" "$copy/usr/"
	cp -rL /lib/systemd "$copy/usr/lib/systemd" 2>/dev/null
	cp "$units"/* "$copy/usr/lib/systemd/system/"
	for unit in "$@"; do cp "$unit" "$copy/usr/lib/systemd/system/"; done
	cp -L /bin/sh /bin/kill "$copy/bin/"
	cp -L /usr/bin/ssh-agent "$copy/usr/bin/" 2>/dev/null || install -m 755 /bin/sh "$copy/usr/bin/ssh-agent"
	ln -s usr/lib "$copy/lib"
	local names=() program
	for unit in "$units"/pp-* "$@"; do names+=("$(basename "$unit")"); done
	# What the examples start need not be installed here.
	while read -r program; do
		[ -e "$copy$program" ] || install -D -m 755 /bin/sh "$copy$program"
	done < <([ $# = 0 ] || sed -n 's|^Exec[A-Za-z]*=\(/[^ ]*\).*|\1|p' "$@")
	systemd-analyze --root="$copy" --man=no verify "${names[@]}" >"$work/verified" 2>&1
	# Other people's units may have something said about them; ours not.
	local pattern='(^|/)pp-|not found'
	for unit in "$@"; do pattern+="|$(basename "$unit" | sed 's/\./\\./g')"; done
	! grep -E "$pattern" "$work/verified"
}

exposure() { systemd-analyze security --offline=true --threshold="$2" "$units/$1" | tail -1; return "${PIPESTATUS[0]}"; }

# groff says what it dislikes on standard error and succeeds all the same.
page() {
	LC_ALL=C.UTF-8 MANWIDTH=100 man --warnings -l "$1" 2>"$work/said" >/dev/null || return
	cat "$work/said"
	[ ! -s "$work/said" ]
}

mandoc_page() { mandoc -T lint -W error "$1"; }

# Every page of ours that a page names is there.
references() {
	local page name missing=0
	while read -r page; do
		for name in $(zcat -f "$page" | sed 's/\\-/-/g; s/\\f[A-Z]//g; s/\\&//g' | grep -oE 'pp-[a-z.-]+\([1-8]\)' | sort -u); do
			name=$(sed -E 's/\(([1-8])\)/.\1/' <<<"$name")
			if ! compgen -G "$root/usr/share/man/man*/$name*" >/dev/null; then
				echo "$(basename "$page") names $name, which is not there"
				missing=1
			fi
		done
	done < <(find "$root/usr/share/man" -type f | sort)
	[ $missing = 0 ]
}

syntax() { "$1" -n "$2"; }

# A directory that is not named in debian/*.examples is seen by nobody.
shipped() {
	local example missing=0
	for example in "$here"/examples/*; do
		if ! compgen -G "$root/usr/share/doc/*/examples/$(basename "$example")" >/dev/null; then
			echo "$(basename "$example") is in no package"
			missing=1
		fi
	done
	[ $missing = 0 ]
}

check "lintian: no errors, no warnings" lintian lint
check "the packages' units verify" systemd-analyze verify
for directory in "$here"/examples/*/systemd*; do
	check "the units of ${directory#"$here"/} verify" systemd-analyze verify "$directory"/*
done
check "rule 22: pp-restarter.service is exposed 1.0 at most" systemd-analyze exposure pp-restarter.service 10
check "rule 22: pp-fetcher.service is exposed 2.0 at most" systemd-analyze exposure pp-fetcher.service 20
check "rule 22: pp-fetcher@.service is exposed 2.0 at most" systemd-analyze exposure pp-fetcher@.service 20
check "pp-ssh-agent@.service is exposed 1.0 at most" systemd-analyze exposure pp-ssh-agent@.service 10
check "pp-ssh-agent.service is exposed 1.0 at most" systemd-analyze exposure pp-ssh-agent.service 10
while read -r file; do
	check "man page $(basename "$file" .gz), groff" man page "$file"
	check "man page $(basename "$file" .gz), mandoc" mandoc mandoc_page "$file"
done < <(find "$root/usr/share/man" -type f | sort)
check "every page that a page names is there" zcat references
check "the walk-through ships" zcat test -s "$root/usr/share/doc/pp-fetcher/README.md"
for file in "$here"/examples/*/*.sh; do
	check "${file#"$here"/} is a shell script" sh syntax sh "$file"
	check "${file#"$here"/} may be run" test test -x "$file"
done
for file in "$here"/*.sh "$here"/tests/*.sh; do
	check "${file#"$here"/} is a shell script" bash syntax bash "$file"
done
check "the example's alert rules" promtool promtool check rules "$here/examples/monitoring/alerts.yml"
check "the example's dashboard is JSON" python3 python3 -m json.tool "$here/examples/monitoring/dashboard.json"
check "every example ships" zcat shipped
check "apt repository: apt takes what is signed, and refuses the rest" apt-ftparchive "$here/tests/apt-repository.sh"
binaries=${CARGO_TARGET_DIR:-$here/../target}/release
check "the packages are the same whoever assembles them" "$binaries/pp-pages" "$here/reproduce.sh" "$binaries"
check "completions offer the units and the apps of the host" bash "$here/tests/completions.sh" "$root"
for file in "$root"/usr/share/bash-completion/completions/*; do
	check "completions of $(basename "$file")" bash syntax bash "$file"
done

[ $failed = 0 ] || exit 1
[ $skipped = 0 ] || exit 3
