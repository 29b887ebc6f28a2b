# Completion of cute-shm for bash: options, project names, array keys, HDF5 files and the paths in them.
# The program itself answers: it is given the line up to the cursor.

_cute_shm() {
    local what prefix value answer program="$1"
    # An alias, or a path that begins with a tilde, is no program yet.
    type -P "$program" >/dev/null || program=cute-shm
    COMPREPLY=()
    mapfile -t answer < <(command "$program" __complete bash "$1" "$2" "${COMP_LINE:0:COMP_POINT}" 2>/dev/null)
    IFS=$'\t' read -r what prefix <<<"${answer[0]}"
    case "$what" in
        files) compopt -o default 2>/dev/null ;;
        dirs) compopt -o default -o dirnames 2>/dev/null ;;
        command)
            local at
            for ((at = 1; at < COMP_CWORD; at++)); do
                [[ "${COMP_WORDS[at]}" != -- ]] || break
            done
            if declare -F _command_offset >/dev/null; then
                _command_offset $((at + 1))
            else
                compopt -o default 2>/dev/null
            fi
            ;;
        values)
            for value in "${answer[@]:1}"; do
                COMPREPLY+=("${value%%$'\t'*}")
            done
            # A directory is not the end of a path.
            [[ ${#COMPREPLY[@]} -ne 1 || "${COMPREPLY[0]}" != */ ]] || compopt -o nospace 2>/dev/null
            ;;
    esac
}

complete -F _cute_shm cute-shm
