#!/bin/bash
# Every check of the project, and a summary:   tests/run.sh [--no-skips] [--advisories]
#
# As root on Debian 12 or 13 with Rust, it installs what else it takes, and says so. Without root it
# does what it can; what it cannot is named as skipped, and is never a pass.
#   --no-skips     a skip is a failure (what CI uses)
#   --advisories   asks the RustSec database too; its answer depends on the day, so it is no default
# The last line is "N passed, N failed, N skipped". Exit: 0 all well, 1 not, 2 usage.
set -uo pipefail

no_skips=false advisories=false
for argument; do
	case $argument in
	--no-skips) no_skips=true ;;
	--advisories) advisories=true ;;
	*) echo "usage: $0 [--no-skips] [--advisories]" >&2; exit 2 ;;
	esac
done

cd "$(dirname "$(realpath "$0")")/.." || exit 2
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
work=$target/run
rm -rf "$work"
mkdir -p "$work"
exec </dev/null
. tests/tools.sh

passed=0 failed=0 skipped=0 table="" skips=""

# step NAME COUNTER COMMAND…: runs it, shows its output, and lets COUNTER read its log.
step() {
	local name=$1 counter=$2 log status=0 p=0 f=0 s=0 started=$SECONDS result=passed
	shift 2
	log=$work/${name// /-}.log
	printf '\n== %s\n' "$name"
	"$@" 2>&1 | tee "$log"
	status=${PIPESTATUS[0]}
	"$counter" "$log" "$status"
	# One that fails without a failed test has failed all the same: it did not compile, say.
	[ "$status" = 0 ] || [ "$f" -gt 0 ] || f=1
	[ "$s" = 0 ] || result="skipped"
	[ "$p" = 0 ] || [ "$s" = 0 ] || result="passed, with skips"
	[ "$f" = 0 ] || result=FAILED
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
	table+=$(printf '%-28s %-20s %5d %5d %5d %6d s' "$name" "$result" "$p" "$f" "$s" $((SECONDS - started)))$'\n'
}

# A step that is one check. Exit code 77: it could not run; its last line says why.
one() {
	case $2 in
	0) p=1 ;;
	77) s=1 f=0 status=0 skips+="  $name: $(tail -n 1 "$1")"$'\n' ;;
	*) f=1 ;;
	esac
}

# cargo test: the sum of its "test result:" lines; ignored tests are skips, with their names, and so are
# those that say SKIPPED, which libtest knows as passed.
tests() {
	read -r p f s < <(sed -nE 's/^test result: .* ([0-9]+) passed; ([0-9]+) failed; ([0-9]+) ignored.*/\1 \2 \3/p' "$1" |
		awk '{ p += $1; f += $2; s += $3 } END { print p + 0, f + 0, s + 0 }')
	local said
	said=$(grep -c '^SKIPPED: ' "$1")
	p=$((p - said)) s=$((s + said))
	[ "$s" = 0 ] || skips+=$(sed -nE "s/^test (.*[^ ]) +\.\.\. ignored.*/  $name: \1/p; s/^lab: (.* (root|missing|packages).*)/  because \1/p; s/^SKIPPED: /  $name: /p" "$1")$'\n'
}

# packaging/check.sh: a line a check; exit code 3 says that some were skipped.
checks() {
	p=$(grep -c '^ok ' "$1") f=$(grep -c '^FAIL ' "$1") s=$(grep -c '^skip ' "$1")
	[ "$2" != 3 ] || status=0
	[ "$s" = 0 ] || skips+=$(sed -n "s/^skip  /  $name: /p" "$1")$'\n'
}

lints() {
	local features
	for features in "" --all-features; do
		cargo clippy --workspace --locked --all-targets $features -- -D warnings || return
	done
}

docs() { RUSTDOCFLAGS="-D warnings" cargo doc --workspace --locked --document-private-items --no-deps; }

deny() {
	local deny
	deny=$(cargo_deny) || { echo "cargo-deny $CARGO_DENY could not be installed"; return 77; }
	"$deny" --locked check "$@"
}

# The groups of tests, side by side: most of them wait much more than they compute. With all features, as the crash
# matrix and what tries the sandboxes from inside need theirs; what is shipped has none, and is what the lab installs.
side_by_side() {
	$no_skips && export PP_LAB=required
	PP_DEBS=$work/debs PP_KILLS=${PP_KILLS:-500} python3 tests/side_by_side.py "$work" <<-END
		lab	cargo test --locked -p pp-tests --test *
		checks	packaging/check.sh $work/debs
		unit	cargo test --workspace --locked --exclude pp-tests --all-features -- --show-output
		unit	cargo test --locked -p pp-tests --lib
	END
}

# What the failed tests of a log have said, at most so many lines of it: at the end, where it is not lost among thousands.
failures() {
	awk '/^failures:$/ { on = 1 } on { print } /^test result: / { on = 0 } /^FAIL / { print }' "$1" | cut -c 1-500 | head -n 120
}

# group NAME COUNTER LOG: counts what a group of tests has printed. Without a log none was run, and that is a failure.
group() { step "$1" "$2" cat "$work/$3.log" >/dev/null; }

step "tools" one install_tools
step "format" one cargo fmt --all --check
step "lints" one lints
step "docs" one docs
step "dependencies" one deny bans licenses sources
step "packages" one packaging/build.sh "$work/debs"
step "test programs" one side_by_side
group "unit and integration tests" tests unit
group "packages, checked" checks checks
group "lab tests" tests lab
$advisories && step "advisories" one tests/advisories.sh

printf '\n%-28s %-20s %5s %5s %5s %8s\n' step result pass fail skip time
printf '%s' "$table"
$advisories || echo "note: advisories were not asked for (their answer depends on the day): tests/run.sh --advisories"
[ "$skipped" = 0 ] || printf 'skipped, and why:\n%s' "$skips"
if [ "$failed" != 0 ]; then
	for log in unit checks lab; do
		[ ! -e "$work/$log.log" ] || failures "$work/$log.log"
	done
	echo "failed; the logs are in $work"
fi
result=0
[ "$failed" = 0 ] || result=1
if $no_skips && [ "$skipped" != 0 ]; then
	echo "a skip is a failure here (--no-skips)"
	result=1
fi
echo "$passed passed, $failed failed, $skipped skipped"
exit $result
