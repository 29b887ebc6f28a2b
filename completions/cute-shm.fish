# Completion of cute-shm for fish: options, project names, array keys, HDF5 files and the paths in them.
# The program itself answers: it is given the words before the cursor, and the one at it.

function __cute_shm_complete
    set -l words (commandline -opc)
    set -l answer (command $words[1] __complete fish $words[2..-1] (commandline -ct | string collect --allow-empty) 2>/dev/null)
    set -l first (string split \t -- $answer[1])
    set -l prefix $first[2]
    set -l token (commandline -ct | string collect --allow-empty)
    switch "$first[1]"
        case files
            for path in (__fish_complete_path (string replace -- "$prefix" '' $token))
                echo -- $prefix$path
            end
        case dirs
            for path in (__fish_complete_directories (string replace -- "$prefix" '' $token))
                echo -- $prefix$path
            end
        case command
            set -l at (contains -i -- -- $words)
            set -l line (string escape -- $words[(math $at + 1)..-1])
            complete -C "$line $token"
        case values
            printf '%s\n' $answer[2..-1]
    end
end

complete -c cute-shm -f -k -a '(__cute_shm_complete)'
