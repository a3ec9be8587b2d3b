complete -c pp-restart -f -a "(pp-restart --list 2>/dev/null | string replace -r '^\S+\s+(\S+).*' '\$1' | sort -u)"
