#!/bin/bash
# Builds pp-restarter_*.deb and pp-fetcher_*.deb:   packaging/build.sh OUTDIR
#
# As root on Debian 12 or 13 with Rust, it installs what else it takes to build, and says so.
# Environment: CARGO_TARGET_DIR as for cargo; SOURCE_DATE_EPOCH, the date inside the packages
# (default: that of the last commit); PP_DEB_REVISION, put after the version, such as "+test1".
set -euo pipefail

usage() { echo "usage: $0 OUTDIR" >&2; exit 2; }
say() { echo "build: $*"; }
die() { echo "build: $*" >&2; exit 1; }

[ $# = 1 ] && [ "${1#-}" = "$1" ] || usage
mkdir -p "$1"
out=$(realpath "$1")
here=$(dirname "$(realpath "$0")")
cd "$here/.."

# package | the reason it is needed
needed="
gcc|links, and compiles the libgit2 that the git2 crate carries
libc6-dev|headers for it
pkg-config|finds Debian's zlib for it
zlib1g-dev|Debian's zlib, so that its security updates reach us
dpkg-dev|dpkg-buildpackage
debhelper|assembles the packages
scdoc|renders the manual pages
"

install_missing() {
	local missing=() package why
	while IFS='|' read -r package why; do
		[ -n "$package" ] || continue
		if [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" != installed ]; then
			say "missing: $package ($why)"
			missing+=("$package")
		fi
	done <<<"$needed"
	[ ${#missing[@]} -gt 0 ] || return 0
	[ "$(id -u)" = 0 ] || die "not root, so it is yours to do: apt-get install ${missing[*]}"
	say "installing: ${missing[*]}"
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -qq
	apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

command -v dpkg-query >/dev/null || die "this is not Debian: dpkg-query is not there"
command -v cargo >/dev/null || die "cargo is not there: install Rust 1.89 or newer"
install_missing

say "compiling"
cargo build --release --locked -p pp-restarter -p pp-fetcher -p pp-git-worker -p pp-packaging \
	--bin pp-restart --bin pp-fetcher --bin pp-git-worker --bin pp-pages
# Alone, so that it is linked with the features it asks for and not with those of the others.
cargo build --release --locked -p pp-restarter --no-default-features --bin pp-restarter
target=${CARGO_TARGET_DIR:-target}/release

version=$(sed -n '/^\[workspace.package\]/,/^$/s/^version = "\(.*\)"$/\1/p' Cargo.toml)
[ -n "$version" ] || die "Cargo.toml has no [workspace.package] version"
# In Debian's order 1.0~rc1 comes before 1.0; 1.0-rc1 would not.
version=${version/-/\~}${PP_DEB_REVISION:-}
: "${SOURCE_DATE_EPOCH:=$(git log -1 --format=%ct 2>/dev/null || stat -c %Y CHANGELOG.md)}"
export SOURCE_DATE_EPOCH

say "assembling version $version"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
stage=$work/stage
mkdir -p "$stage/bin" "$stage/man"
cp -r packaging/debian packaging/etc packaging/examples "$stage/"
cp "$target/pp-restarter" "$target/pp-restart" "$target/pp-fetcher" "$target/pp-git-worker" "$stage/bin/"
for page in packaging/man/*.scd; do
	scdoc <"$page" >"$stage/man/$(basename "$page" .scd)"
done
"$target/pp-pages" "$stage/man" "$stage/completions"

# debhelper finds these by name in debian/.
debian=$stage/debian
cp packaging/systemd/pp-restarter.socket packaging/systemd/pp-restarter.service "$debian/"
cp packaging/systemd/pp-fetcher.service "$debian/"
cp packaging/systemd/pp-ssh-agent.service "$debian/pp-fetcher.pp-ssh-agent.service"
for template in pp-fetcher@ pp-ssh-agent@; do
	cp "packaging/systemd/$template.service" "$debian/pp-fetcher.$template.service"
done
for package in pp-restarter pp-fetcher; do
	cp "packaging/sysusers/$package.conf" "$debian/$package.sysusers"
done
cp packaging/tmpfiles/pp-fetcher.conf "$debian/pp-fetcher.tmpfiles"
cp packaging/etc/logrotate "$debian/pp-fetcher.logrotate"
cp packaging/etc/cron "$debian/pp-fetcher.cron.d"
cp CHANGELOG.md README.md "$stage/"
cat >"$debian/changelog" <<EOF
pull-and-pray ($version) unstable; urgency=medium

  * The project's own changelog says what changed.

 -- $(sed -n 's/^Maintainer: //p' packaging/debian/control)  $(date -u -R -d "@$SOURCE_DATE_EPOCH")
EOF

if ! (cd "$stage" && dpkg-buildpackage -b -us -uc) >"$work/log" 2>&1; then
	cat "$work/log" >&2
	die "dpkg-buildpackage failed; its output is above"
fi
rm -f "$out"/pp-restarter_*.deb "$out"/pp-fetcher_*.deb
mv "$work"/*.deb "$out/"
for deb in "$out"/pp-restarter_*.deb "$out"/pp-fetcher_*.deb; do
	say "made $deb ($(stat -c %s "$deb") bytes)"
done
