
# Beside commands and options: the apps that are configured on this host.
__pp_fetcher_with_apps() {
    _pp__fetcher "$@"
    local cur=${COMP_WORDS[COMP_CWORD]} file name
    [[ $COMP_CWORD -ge 2 && $cur != -* && ${COMP_WORDS[COMP_CWORD - 1]} != --* ]] || return 0
    for file in /etc/pp-fetcher/apps.d/*.toml /etc/pp-fetcher/users/*/apps.d/*.toml; do
        name=${file##*/}
        name=${name%.toml}
        [[ -e $file && $name == "$cur"* ]] && COMPREPLY+=("$name")
    done
    return 0
}
complete -F __pp_fetcher_with_apps -o bashdefault -o default pp-fetcher
