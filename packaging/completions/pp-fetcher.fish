complete -c pp-fetcher -n "not __fish_pp_fetcher_needs_command" -f -a "(path basename -E /etc/pp-fetcher/apps.d/*.toml /etc/pp-fetcher/users/*/apps.d/*.toml 2>/dev/null)"
