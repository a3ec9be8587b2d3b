# shellcheck shell=bash
# Sourced by the scripts here: what they say, and how they get the Debian packages that they take.

said_by=$(basename "$0" .sh)
say() { echo "$said_by: $*"; }
die() { echo "$said_by: $*" >&2; exit 1; }

# install_missing "PACKAGE|REASON …": a package a line. As root it installs what is not there, and says so.
install_missing() {
	local missing=() package why
	command -v dpkg-query >/dev/null || die "this is not Debian: dpkg-query is not there"
	while IFS='|' read -r package why; do
		[ -n "$package" ] || continue
		if [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" != installed ]; then
			say "missing: $package ($why)"
			missing+=("$package")
		fi
	done <<<"$1"
	[ ${#missing[@]} -gt 0 ] || return 0
	[ "$(id -u)" = 0 ] || die "not root, so it is yours to do: apt-get install ${missing[*]}"
	say "installing: ${missing[*]}"
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -qq
	apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}
