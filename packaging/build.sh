#!/bin/bash
# Builds pp-restarter_*.deb, pp-fetcher_*.deb and pp-notify_*.deb:   packaging/build.sh OUTDIR
#
# As root on Debian 12 or 13 with Rust, it installs what else it takes to build, and says so.
# Environment: CARGO_TARGET_DIR as for cargo; SOURCE_DATE_EPOCH, the date inside the packages
# (default: that of the last commit); PP_DEB_REVISION, put after the version, such as "+test1".
set -euo pipefail

usage() { echo "usage: $0 OUTDIR" >&2; exit 2; }
. "$(dirname "$(realpath "$0")")/needed.sh"

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

command -v cargo >/dev/null || die "cargo is not there: install Rust 1.89 or newer"
install_missing "$needed"

# The programs are to come out the same wherever this checkout is and in whoever's home the crates are: a panic names
# its source file. What stands last counts, so directories that may be inside of another come after it. The encoded
# variable is the one that takes arguments with a space in them; what RUSTFLAGS asks for stays.
crates=$(realpath -m "${CARGO_HOME:-$HOME/.cargo}")
read -ra flags <<<"${RUSTFLAGS:-}"
flags+=("--remap-path-prefix=$PWD=/usr/src/pull-and-pray")
flags+=("--remap-path-prefix=$(realpath -m "${CARGO_TARGET_DIR:-target}")=/usr/src/target")
flags+=("--remap-path-prefix=$crates=/usr/src/cargo")
# What a backtrace is made with is linked in: loading Debian's libgcc_s for it alone takes an eighth of a short run.
unwinder=$(cc -print-file-name=libgcc_eh.a)
[ ! -f "$unwinder" ] || flags+=(-L "native=$(dirname "$unwinder")" -l static:-bundle=gcc_eh)
CARGO_ENCODED_RUSTFLAGS=$(IFS=$'\x1f'; printf '%s' "${flags[*]}")
export CARGO_ENCODED_RUSTFLAGS
# The same for libgit2, which is C; there a space would end the argument.
[[ $crates = *[[:space:]]* ]] || export CFLAGS="${CFLAGS:-} -ffile-prefix-map=$crates=/usr/src/cargo"

say "compiling"
cargo build --release --locked -p pp-restarter -p pp-fetcher -p pp-git-worker -p pp-notify -p pp-packaging \
	--bin pp-restart --bin pp-fetcher --bin pp-git-worker --bin pp-notify --bin pp-pages
# Alone, so that it is linked with the features it asks for and not with those of the others.
cargo build --release --locked -p pp-restarter --no-default-features --bin pp-restarter

"$here/assemble.sh" "${CARGO_TARGET_DIR:-target}/release" "$out"
