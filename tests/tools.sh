# Sourced by run.sh and demo.sh, in the project's root: what they need besides Rust, and how to get it.

CARGO_DENY=0.20.2

# package | the reason it is needed
TOOLS="
gcc|links, and compiles the libgit2 that the git2 crate carries
libc6-dev|headers for it
pkg-config|finds Debian's zlib for it
libfaketime|sets the clock back in the fetcher's tests
zlib1g-dev|Debian's zlib
python3|maps a file of a release into memory, in the fetcher's tests
git|makes repositories for tests
openssh-client|the fetcher's transport
openssh-server|an sshd for the fetcher's tests
systemd-container|systemd-nspawn boots the lab
mmdebstrap|makes the lab's root file system
"
CHECKERS="
lintian|checks the packages
man-db|checks the manual pages
groff|checks the manual pages
mandoc|checks the manual pages
apt-utils|apt-ftparchive, for the test of the apt repository
gpg|signs in that test
gpg-agent|holds the keys of that test
"

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# Installs the Debian packages of a list that are not there; exit 77 where only root could.
install_list() {
	local missing=() package why
	command -v dpkg-query >/dev/null || { echo "this is not Debian: nothing was installed"; return 77; }
	while IFS='|' read -r package why; do
		[ -n "$package" ] || continue
		installed "$package" && continue
		echo "missing: $package ($why)"
		missing+=("$package")
	done <<<"$1"
	[ ${#missing[@]} -gt 0 ] || return 0
	[ "$(id -u)" = 0 ] || { echo "not root, so it is yours to do: apt-get install ${missing[*]}"; return 77; }
	echo "installing: ${missing[*]}"
	apt-get update -qq &&
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# The parts of Rust that a minimal toolchain lacks.
install_components() {
	cargo fmt --version >/dev/null 2>&1 && cargo clippy --version >/dev/null 2>&1 && return 0
	command -v rustup >/dev/null || { echo "cargo fmt or cargo clippy is missing, and there is no rustup"; return 1; }
	echo "installing: rustfmt, clippy"
	rustup component add rustfmt clippy
}

# promtool, which checks the rules of the examples: from Debian's package, without the server that is in it.
install_promtool() {
	command -v promtool >/dev/null || [ -x target/tools/bin/promtool ] && return 0
	echo "fetching: promtool (checks the examples for Prometheus)"
	local work
	work=$(mktemp -d)
	chmod 755 "$work"
	mkdir -p target/tools/bin
	(cd "$work" && apt-get download -qq prometheus && dpkg-deb -x prometheus_*.deb .) &&
		install -m 755 "$work/usr/bin/promtool" target/tools/bin/promtool ||
		echo "promtool could not be fetched: that check is skipped"
	rm -rf "$work"
}

install_tools() {
	command -v cargo >/dev/null || { echo "cargo is not there: install Rust 1.89 or newer"; return 1; }
	install_components || return
	install_list "$TOOLS$CHECKERS" || return
	install_promtool
}

# Prints the path of a cargo-deny of the right version, building it once if need be.
cargo_deny() {
	local found=$target/tools/bin/cargo-deny
	if [ "$(cargo-deny --version 2>/dev/null)" = "cargo-deny $CARGO_DENY" ]; then
		command -v cargo-deny
		return
	fi
	if [ "$("$found" --version 2>/dev/null)" != "cargo-deny $CARGO_DENY" ]; then
		echo "missing: cargo-deny $CARGO_DENY (checks dependencies); building it into $target/tools" >&2
		cargo install --quiet --locked --root "$target/tools" cargo-deny --version "$CARGO_DENY" >&2 || return
	fi
	echo "$found"
}
