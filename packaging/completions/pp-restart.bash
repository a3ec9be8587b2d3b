
# Beside the options: the units that the caller may have restarted on this host.
__pp_restart_with_units() {
    _pp__restart "$@"
    local cur=${COMP_WORDS[COMP_CWORD]}
    case ${COMP_WORDS[COMP_CWORD - 1]} in --timeout | --socket) return 0 ;; esac
    [[ $cur == -* ]] && return 0
    mapfile -t COMPREPLY < <(compgen -W "$(pp-restart --list 2>/dev/null | awk '{ print $2 }' | sort -u)" -- "$cur")
}
complete -F __pp_restart_with_units pp-restart
