#!/bin/bash
# Builds the packages, boots a throwaway Debian host, and shows a push become the running app and a bad
# push be taken back:   tests/demo.sh
#
# As root on Debian 12 or 13 with Rust; it installs what else it takes, and says so. Nothing of this
# machine is changed but that and cargo's target directory.
set -euo pipefail

[ $# = 0 ] || { echo "usage: $0" >&2; exit 2; }
[ "$(id -u)" = 0 ] || { echo "$0: booting a host in a directory needs root" >&2; exit 1; }
cd "$(dirname "$(realpath "$0")")/.."
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
. tests/tools.sh

echo "== Building"
command -v cargo >/dev/null || { echo "cargo is not there: install Rust 1.89 or newer" >&2; exit 1; }
install_list "$TOOLS"
packaging/build.sh "$target/demo"
cargo build --quiet --locked -p pp-tests --bin demo

PP_DEBS=$target/demo exec "$target/debug/demo"
