#!/bin/bash
# Changes ten lines that much depends on, one at a time, and shows that the tests of their crate notice each.
#   tests/mutations.sh
# Works on a copy of the committed tree below the target directory. Exit: 0 each was noticed, 1 not.
set -uo pipefail
cd "$(dirname "$(realpath "$0")")/.." || exit 2
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
copy=$target/mutations/tree
export CARGO_TARGET_DIR=$target/mutations/target
rm -rf "$copy"
mkdir -p "$copy"
git archive HEAD | tar -x -C "$copy"
cd "$copy" || exit 2

# file | what is replaced | by what | package | what that would mean
mutations='
fetcher/objects/src/id.rs|.is_some_and(\|id\| id == *self)|.is_some()|pp-objects|any content is taken for any object
fetcher/objects/src/id.rs|if self.left != Some(0) {|if self.left.is_none() {|pp-objects|a blob may be shorter than was said
fetcher/src/git/descent.rs|c.parents.contains(parent)|!c.parents.is_empty()|pp-fetcher|history may be rewritten
fetcher/src/checkout/file.rs|hasher.finish() != Some(new.planned.id)|hasher.finish().is_none()|pp-fetcher|a worker may forge files
fetcher/src/checkout/link.rs|up > depth|up > depth + 1|pp-fetcher|a link may leave the release
fetcher/src/deploy/step.rs|Self::Switch \| Self::Restart \| Self::Probe => Resume::BringUp|Self::Switch \| Self::Restart \| Self::Probe => Resume::Undo|pp-fetcher|a kill after the switch removes what serves
fetcher/src/deploy/pipeline.rs|    backoff::quarantine_or_back_off(deployment, \&attempt.revision, \&failure);||pp-fetcher|a bad revision is tried again and again
fetcher/src/health/watch.rs|at.saturating_sub(since) >= steady|at >= since|pp-fetcher|one good answer is enough
restarter/src/policy/mod.rs|.filter(\|(granted, _)\| *granted == verb)|.filter(\|_\| true)|pp-restarter|a grant of one verb is one of all
restarter/src/monitor/work.rs|if self.draining \|\| self.jobs.len() >= JOBS|if self.jobs.len() >= JOBS|pp-restarter|orders of an old policy are carried out
'
# Runs the tests of a package: of pp-fetcher those of the library, which has the suites that start the programs too.
check() {
	local library=
	[ "$1" != pp-fetcher ] || library=--lib
	# shellcheck disable=SC2086
	cargo build --locked --bins -p pp-fetcher -p pp-git-worker && cargo test --locked -p "$1" $library
}
for package in pp-objects pp-fetcher pp-restarter; do
	check "$package" >"$target/mutations/$package.log" 2>&1 ||
		{ echo "the tests of $package fail as they are; see $target/mutations/$package.log"; exit 1; }
done
missed=0 number=0
while IFS= read -r line; do
	[ -n "$line" ] || continue
	IFS=$'\x01' read -r file from to package meaning <<<"$(sed 's/\\|/\x02/g; s/|/\x01/g; s/\x02/|/g' <<<"$line")"
	number=$((number + 1))
	cp "$file" "$target/mutations/original"
	FROM=$from TO=${to//\\&/&} FILE=$file python3 -c '
import os
path, old = os.environ["FILE"], os.environ["FROM"].replace("\\&", "&")
text = open(path).read()
assert text.count(old) == 1, f"{path}: {text.count(old)} times {old!r}"
open(path, "w").write(text.replace(old, os.environ["TO"]))' || exit 2
	log=$target/mutations/$number.log
	if check "$package" >"$log" 2>&1; then
		echo "MISSED  $file: $meaning"
		missed=$((missed + 1))
	elif grep -q '^test .* FAILED' "$log"; then
		echo "noticed $file: $meaning ($(grep -c '^test .* FAILED' "$log") tests)"
	else
		echo "BROKEN  $file: it did not compile; see $log"
		missed=$((missed + 1))
	fi
	cp "$target/mutations/original" "$file"
done <<<"$mutations"
echo "$((number - missed)) of $number noticed"
[ "$missed" = 0 ]
