#!/bin/bash
# Makes an apt repository, or adds to one:   packaging/apt-repository.sh DEBDIR REPODIR KEYID
#
# DEBDIR holds packages, such as those of build.sh. REPODIR is what a web server hands out, or a file: URI names; hosts
# that have it among their sources upgrade with `apt upgrade`. KEYID is a key of gpg's that can sign, by fingerprint,
# id or address; there are no unsigned repositories. Older versions stay in REPODIR/pool, and can be installed by
# `apt install pp-fetcher=VERSION`. To take one back, delete it there and run this again.
#
# As root on Debian 12 or 13 it installs what it takes, and says so. Environment: GNUPGHOME as for gpg; APT_SUITE, the
# suite's name (default: stable); APT_URI, where hosts find REPODIR (default: file:REPODIR), for the text at the end.
set -euo pipefail

. "$(dirname "$(realpath "$0")")/needed.sh"
usage() { echo "usage: $0 DEBDIR REPODIR KEYID" >&2; exit 2; }

if [ $# = 2 ]; then
	say "a repository is signed or not made: name a key, and if there is none yet, make one:" >&2
	say "  gpg --quick-generate-key 'Our packages <admin@example.org>' ed25519 sign 3y" >&2
	exit 2
fi
[ $# = 3 ] && [ -n "$3" ] && [ "${1#-}" = "$1" ] || usage
suite=${APT_SUITE:-stable}
[[ $suite =~ ^[a-z0-9][a-z0-9.-]*$ ]] || die "APT_SUITE=$suite is no name of a suite"
debs=("$1"/*.deb)
[ -f "${debs[0]}" ] || die "there is no package in $1; packaging/build.sh $1 makes them"

install_missing "
apt-utils|apt-ftparchive lists the packages
gpg|signs the list
gpg-agent|holds the key for it
"

# Exactly one key, and the half of it that signs.
fingerprint=$(gpg --batch --with-colons --list-secret-keys -- "$3" 2>/dev/null |
	awk -F: '$1 == "sec" { primary = 1 } $1 == "fpr" && primary { print $10; primary = 0 }') || true
[ -n "$fingerprint" ] || die "gpg has no private key $3"
[[ $fingerprint != *$'\n'* ]] || die "gpg has several private keys $3: name one by its fingerprint"

# A web server and apt read as somebody else.
umask 022
mkdir -p "$2"
repo=$(realpath "$2")
exec 9>"$repo/.lock"
flock 9
work=$(mktemp -d "$repo/.new.XXXXXX")
trap 'rm -rf "$work"' EXIT

# publish FILE TARGET: in one moment, so that nobody reads half of it. FILE is on the same file system.
publish() {
	mkdir -p "$(dirname "$2")"
	chmod 644 "$1"
	mv -f "$1" "$2"
}

# Hosts know a version by its hash once they have seen it, and would refuse another file of that name. All packages are
# looked at before the first is added.
pool=pool/main
for pass in look add; do
	for deb in "${debs[@]}"; do
		name=$(dpkg-deb -f "$deb" Package) version=$(dpkg-deb -f "$deb" Version) arch=$(dpkg-deb -f "$deb" Architecture)
		target=$repo/$pool/$name/${name}_${version#*:}_$arch.deb
		if [ -e "$target" ]; then
			cmp -s "$deb" "$target" || die "$target is published and has other contents than $deb: give it a new
version (in Cargo.toml, or PP_DEB_REVISION for build.sh)"
		elif [ $pass = add ]; then
			cp "$deb" "$work/deb"
			publish "$work/deb" "$target"
			say "added $name $version $arch"
		fi
	done
done

architectures=()
while read -r arch; do architectures+=("$arch"); done < <(
	find "$repo/$pool" -name '*.deb' -exec dpkg-deb -f {} Architecture \; | grep -vx all | sort -u)
[ ${#architectures[@]} -gt 0 ] || architectures=("$(dpkg --print-architecture)")

mkdir "$work/suite"
for arch in "${architectures[@]}"; do
	index=$work/suite/main/binary-$arch
	mkdir -p "$index"
	# Paths in it are below REPODIR.
	(cd "$repo" && apt-ftparchive --arch "$arch" packages "$pool") >"$index/Packages"
	gzip -9n <"$index/Packages" >"$index/Packages.gz"
done
# SHA256 alone: a host asks for a list by the strongest hash that is named, and by-hash/ has this one.
apt-ftparchive \
	-o APT::FTPArchive::Release::Origin="Pull and Pray" \
	-o APT::FTPArchive::Release::Label="Pull and Pray" \
	-o APT::FTPArchive::Release::Suite="$suite" \
	-o APT::FTPArchive::Release::Codename="$suite" \
	-o APT::FTPArchive::Release::Components=main \
	-o APT::FTPArchive::Release::Architectures="${architectures[*]}" \
	-o APT::FTPArchive::Release::Acquire-By-Hash=yes \
	-o APT::FTPArchive::MD5=false -o APT::FTPArchive::SHA1=false -o APT::FTPArchive::SHA512=false \
	release "$work/suite" >"$work/Release"
sign() { gpg --batch --yes --quiet --digest-algo SHA512 --local-user "$fingerprint" "$@"; }
sign --armor --detach-sign --output "$work/Release.gpg" "$work/Release"
sign --clear-sign --output "$work/InRelease" "$work/Release"
gpg --batch --armor --export --output "$work/key" "$fingerprint"

# A host reads InRelease first, and then asks for the lists by the hashes in it. So each list stands under its hash
# before the new InRelease does, and those of before stay for the hosts that have read the old one. The signatures are
# made; from here on only files are renamed, and what a kill leaves undone the next run does.
dists=$repo/dists/$suite
for arch in "${architectures[@]}"; do
	from=$work/suite/main/binary-$arch to=$dists/main/binary-$arch
	for list in Packages Packages.gz; do
		cp "$from/$list" "$work/list"
		publish "$work/list" "$to/by-hash/SHA256/$(sha256sum <"$from/$list" | cut -d ' ' -f 1)"
	done
	for list in Packages Packages.gz; do publish "$from/$list" "$to/$list"; done
done
publish "$work/key" "$repo/pull-and-pray.asc"
for file in Release.gpg Release InRelease; do publish "$work/$file" "$dists/$file"; done
# Written again above if they are in use: a host that began a week ago is not coming back for them.
find "$dists" -path '*/by-hash/*' -type f -mtime +7 -delete

say "signed by $fingerprint"
cat <<END

On each host, as root, once pull-and-pray.asc has come there by a way that you trust (compare the fingerprint:
gpg --show-keys pull-and-pray.asc):

  install -D -m 644 pull-and-pray.asc /etc/apt/keyrings/pull-and-pray.asc

and in /etc/apt/sources.list.d/pull-and-pray.sources:

Types: deb
URIs: ${APT_URI:-file:$repo}
Suites: $suite
Components: main
Architectures: ${architectures[*]}
Signed-By: /etc/apt/keyrings/pull-and-pray.asc

then  apt update && apt install pp-restarter pp-fetcher ; from then on  apt upgrade .
END
