#!/bin/bash
# Makes the packages from programs that are built already:   packaging/assemble.sh BINDIR OUTDIR
#
# build.sh calls it. The same programs and the same SOURCE_DATE_EPOCH give the same bytes, whoever does it, where
# and when; reproduce.sh tries that. Environment: SOURCE_DATE_EPOCH and PP_DEB_REVISION as for build.sh.
set -euo pipefail

. "$(dirname "$(realpath "$0")")/needed.sh"

[ $# = 2 ] || { echo "usage: $0 BINDIR OUTDIR" >&2; exit 2; }
# What differs between people: modes of new files, the order of names, the way dates are written.
umask 022
export LC_ALL=C.UTF-8 TZ=UTC
binaries=$(realpath "$1")
mkdir -p "$2"
out=$(realpath "$2")
cd "$(dirname "$(realpath "$0")")/.."

version=$(sed -n '/^\[workspace.package\]/,/^$/s/^version = "\(.*\)"$/\1/p' Cargo.toml)
[ -n "$version" ] || die "Cargo.toml has no [workspace.package] version"
# In Debian's order 1.0~rc1 comes before 1.0; 1.0-rc1 would not.
version=${version/-/\~}${PP_DEB_REVISION:-}
# git does not read a checkout of somebody else's, unless it is told that this one is meant: without that, root
# would take another date in a checkout of yours than you do.
: "${SOURCE_DATE_EPOCH:=$(git -c safe.directory="$PWD" log -1 --format=%ct 2>/dev/null || stat -c %Y CHANGELOG.md)}"
export SOURCE_DATE_EPOCH

say "assembling version $version"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
stage=$work/stage
mkdir -p "$stage/bin" "$stage/man"
cp -r packaging/debian packaging/etc packaging/examples "$stage/"
for program in pp-restarter pp-restart pp-fetcher pp-git-worker pp-notify; do
	install -m 755 "$binaries/$program" "$stage/bin/"
done
for page in packaging/man/*.scd; do
	scdoc <"$page" >"$stage/man/$(basename "$page" .scd)"
done
"$binaries/pp-pages" "$stage/man" "$stage/completions"

# debhelper finds these by name in debian/.
debian=$stage/debian
cp packaging/systemd/pp-restarter.socket packaging/systemd/pp-restarter.service "$debian/"
cp packaging/systemd/pp-fetcher.service "$debian/"
cp packaging/systemd/pp-ssh-agent.service "$debian/pp-fetcher.pp-ssh-agent.service"
for template in pp-fetcher@ pp-ssh-agent@; do
	cp "packaging/systemd/$template.service" "$debian/pp-fetcher.$template.service"
done
for unit in service path timer; do cp "packaging/systemd/pp-notify.$unit" "$debian/"; done
for package in pp-restarter pp-fetcher pp-notify; do
	cp "packaging/sysusers/$package.conf" "$debian/$package.sysusers"
done
for package in pp-fetcher pp-notify; do
	cp "packaging/tmpfiles/$package.conf" "$debian/$package.tmpfiles"
done
cp packaging/etc/logrotate "$debian/pp-fetcher.logrotate"
cp packaging/etc/cron "$debian/pp-fetcher.cron.d"
cp -r CHANGELOG.md README.md docs "$stage/"
cat >"$debian/changelog" <<END
pull-and-pray ($version) unstable; urgency=medium

  * The project's own changelog says what changed.

 -- $(sed -n 's/^Maintainer: //p' packaging/debian/control)  $(date -u -R -d "@$SOURCE_DATE_EPOCH")
END

# A checkout keeps the modes that git and its umask gave; in a package a file is readable, and a program if git says so.
chmod -R u=rwX,go=rX "$stage"
# Nothing of whoever builds reaches the tools: flags of theirs for compilers and packages, their configuration.
environment=(PATH="$PATH" HOME="$work" LC_ALL="$LC_ALL" TZ="$TZ" SOURCE_DATE_EPOCH="$SOURCE_DATE_EPOCH")
if ! (cd "$stage" && env -i "${environment[@]}" dpkg-buildpackage -b -us -uc) >"$work/log" 2>&1; then
	cat "$work/log" >&2
	die "dpkg-buildpackage failed; its output is above"
fi
rm -f "$out"/pp-restarter_*.deb "$out"/pp-fetcher_*.deb "$out"/pp-notify_*.deb
mv "$work"/*.deb "$out/"
for deb in "$out"/pp-restarter_*.deb "$out"/pp-fetcher_*.deb "$out"/pp-notify_*.deb; do
	say "made $deb ($(stat -c %s "$deb") bytes)"
done
