#!/bin/bash
# Do the completions offer what only the host knows?   packaging/tests/completions.sh ROOT
#
# ROOT is where the packages are unpacked. A stand-in for pp-restart lists two units. The files of zsh and fish are tried
# by these shells where they are installed.
set -euo pipefail

[ $# = 1 ] || { echo "usage: $0 ROOT" >&2; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/pp-restart" <<'END'
#!/bin/sh
echo 'restart     gunicorn.todo.service   3 at once, one more every 15 s'
echo 'reload      nginx.service   3 at once, one more every 15 s'
END
chmod 755 "$work/pp-restart"
PATH=$work:$PATH
failed=0

# offers PROGRAM WORDS EXPECTED: what is offered for the last of the words.
offers() {
	local got
	got=$(
		. "$1/usr/share/bash-completion/completions/$2.bash"
		read -ra COMP_WORDS <<<"$3"
		[ "${3% }" = "$3" ] || COMP_WORDS+=("")
		COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
		COMPREPLY=()
		function=$(complete -p "$2" | sed 's/.*-F \([^ ]*\).*/\1/')
		"$function" "$2" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
		echo "${COMPREPLY[*]}"
	)
	case " $got " in
	*" $4 "*) echo "ok    $3: $4" ;;
	*)
		echo "FAIL  $3: $4 is not offered, but: $got"
		failed=1
		;;
	esac
}

offers "$1" pp-restart "pp-restart gun" gunicorn.todo.service
offers "$1" pp-restart "pp-restart " nginx.service
offers "$1" pp-restart "pp-restart --li" --list
offers "$1" pp-fetcher "pp-fetcher stat" status
offers "$1" pp-notify "pp-notify te" test
for shell in zsh fish; do
	command -v $shell >/dev/null || continue
	for file in "$1"/usr/share/zsh/vendor-completions/_pp-* "$1"/usr/share/fish/vendor_completions.d/pp-*.fish; do
		case $shell,$file in zsh,*/_pp-* | fish,*.fish) $shell -n "$file" || failed=1 ;; esac
	done
done
exit $failed
