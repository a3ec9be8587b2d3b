#!/bin/sh
# Builds what is measured and runs the suite of figures, as root: tests/bench/run.sh [--rounds N] [PART…]
# It writes tests/bench/RESULTS.md and tests/bench/results/. Nothing else should run meanwhile.
set -eu
cd "$(dirname "$0")/../.."
debs=$(mktemp -d)
trap 'rm -rf "$debs"' EXIT
packaging/build.sh "$debs"
cargo build --locked --release -q -p pp-tests
PP_DEBS=$debs target/release/bench "$@"
