# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_cute_shm_global_optspecs
    string join \n root= json q/quiet v/verbose color= h/help V/version
end

function __fish_cute_shm_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_cute_shm_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_cute_shm_using_subcommand
    set -l cmd (__fish_cute_shm_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c cute-shm -n "__fish_cute_shm_needs_command" -l root -d 'Directory of the metadata files [default: $CUTE_SHM_ROOT, else /tmp/cute-shm]' -r -f -a "(__fish_complete_directories)"
complete -c cute-shm -n "__fish_cute_shm_needs_command" -l color -d 'When to use colour; NO_COLOR counts too' -r -f -a "auto\t'On a terminal'
always\t'Always'
never\t'Never'"
complete -c cute-shm -n "__fish_cute_shm_needs_command" -l json -d 'Print exactly one JSON object on standard output, also on failure'
complete -c cute-shm -n "__fish_cute_shm_needs_command" -s q -l quiet -d 'Print no status and no warnings'
complete -c cute-shm -n "__fish_cute_shm_needs_command" -s v -l verbose -d 'Tell more on standard error; twice: every segment created and removed, with times'
complete -c cute-shm -n "__fish_cute_shm_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cute-shm -n "__fish_cute_shm_needs_command" -s V -l version -d 'Print version'
complete -c cute-shm -n "__fish_cute_shm_needs_command" -f -a "load-hdf5" -d 'Load HDF5 files into shared memory'
complete -c cute-shm -n "__fish_cute_shm_needs_command" -f -a "list" -d 'List the projects of this node'
complete -c cute-shm -n "__fish_cute_shm_needs_command" -f -a "show" -d 'Show one project, or one of its arrays'
complete -c cute-shm -n "__fish_cute_shm_needs_command" -f -a "export" -d 'Write a project, a group or an array to a file'
complete -c cute-shm -n "__fish_cute_shm_needs_command" -f -a "unlink" -d 'Remove projects: metadata and shared memory'
complete -c cute-shm -n "__fish_cute_shm_needs_command" -f -a "gc" -d 'Remove what is provably dead: stale and abandoned projects'
complete -c cute-shm -n "__fish_cute_shm_needs_command" -f -a "wait" -d 'Wait until a project can be read'
complete -c cute-shm -n "__fish_cute_shm_needs_command" -f -a "completions" -d 'Print the completion script of a shell'
complete -c cute-shm -n "__fish_cute_shm_needs_command" -f -a "man" -d 'Print the man page, or write all man pages into a directory'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand load-hdf5" -l until-exit -d 'Return when it is loaded; a keeper in the background removes it when this process ends' -r
complete -c cute-shm -n "__fish_cute_shm_using_subcommand load-hdf5" -l wait -d 'Wait so long for another process at work on the project [default: 0; with --ensure: as long as it takes]' -r
complete -c cute-shm -n "__fish_cute_shm_using_subcommand load-hdf5" -l include -d 'Only datasets whose path matches this glob (repeatable): \'/train/**\', \'images\'' -r
complete -c cute-shm -n "__fish_cute_shm_using_subcommand load-hdf5" -l exclude -d 'No datasets whose path matches this glob (repeatable)' -r
complete -c cute-shm -n "__fish_cute_shm_using_subcommand load-hdf5" -l mode -d 'Permissions of the segments and the metadata, in octal' -r
complete -c cute-shm -n "__fish_cute_shm_using_subcommand load-hdf5" -l group -d 'Give the segments and the metadata to this group (name or number)' -r
complete -c cute-shm -n "__fish_cute_shm_using_subcommand load-hdf5" -l grace -d 'Keep the segments of a replaced project for this long, for readers that are just attaching' -r
complete -c cute-shm -n "__fish_cute_shm_using_subcommand load-hdf5" -l ready-fd -d 'Write a line to this descriptor when the project is ready, and close it' -r
complete -c cute-shm -n "__fish_cute_shm_using_subcommand load-hdf5" -l json-to -d 'With a command: where the JSON object goes (standard output is the command\'s)' -r -F
complete -c cute-shm -n "__fish_cute_shm_using_subcommand load-hdf5" -l byte-order -d 'Turn numbers into the machine\'s byte order: torch and others refuse `>f4`' -r -f -a "native\t'The machine\'s own'"
complete -c cute-shm -n "__fish_cute_shm_using_subcommand load-hdf5" -l dtype -d 'Convert arrays whose path matches, as numpy\'s astype does (repeatable): \'/images/*=float32\'' -r
complete -c cute-shm -n "__fish_cute_shm_using_subcommand load-hdf5" -s j -l jobs -d 'Threads that read and decode [default: the processors this process may use]' -r
complete -c cute-shm -n "__fish_cute_shm_using_subcommand load-hdf5" -l numa -d 'Take memory from all NUMA nodes in turn (interleave), from the reader\'s (local), or from NODES (0,2-3)' -r
complete -c cute-shm -n "__fish_cute_shm_using_subcommand load-hdf5" -l root -d 'Directory of the metadata files [default: $CUTE_SHM_ROOT, else /tmp/cute-shm]' -r -f -a "(__fish_complete_directories)"
complete -c cute-shm -n "__fish_cute_shm_using_subcommand load-hdf5" -l color -d 'When to use colour; NO_COLOR counts too' -r -f -a "auto\t'On a terminal'
always\t'Always'
never\t'Never'"
complete -c cute-shm -n "__fish_cute_shm_using_subcommand load-hdf5" -s p -l persistent -d 'Return when it is loaded; the project stays until it is unlinked, or the node reboots'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand load-hdf5" -s o -l overwrite -d 'Replace an existing project once the new one is complete'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand load-hdf5" -l ensure -d 'Nothing to do when it is loaded already from the same unchanged files with the same selection'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand load-hdf5" -l dry-run -d 'Say what would be loaded and whether it fits, and load nothing'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand load-hdf5" -l strict -d 'What has no form in shared memory fails the load instead of being left out'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand load-hdf5" -l keep-going -d 'Load what can be read of a damaged file; exit 10 when something could not'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand load-hdf5" -l verify -d 'Read everything once more with the HDF5 library and compare'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand load-hdf5" -l no-progress -d 'Draw no progress bar'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand load-hdf5" -l json -d 'Print exactly one JSON object on standard output, also on failure'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand load-hdf5" -s q -l quiet -d 'Print no status and no warnings'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand load-hdf5" -s v -l verbose -d 'Tell more on standard error; twice: every segment created and removed, with times'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand load-hdf5" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand load-hdf5" -s V -l version -d 'Print version'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand list" -l root -d 'Directory of the metadata files [default: $CUTE_SHM_ROOT, else /tmp/cute-shm]' -r -f -a "(__fish_complete_directories)"
complete -c cute-shm -n "__fish_cute_shm_using_subcommand list" -l color -d 'When to use colour; NO_COLOR counts too' -r -f -a "auto\t'On a terminal'
always\t'Always'
never\t'Never'"
complete -c cute-shm -n "__fish_cute_shm_using_subcommand list" -s s -l short -d 'One row a project'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand list" -l check -d 'Exit 11 when a project is not live (foreign, elsewhere and loading ones aside)'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand list" -l json -d 'Print exactly one JSON object on standard output, also on failure'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand list" -s q -l quiet -d 'Print no status and no warnings'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand list" -s v -l verbose -d 'Tell more on standard error; twice: every segment created and removed, with times'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand list" -s V -l version -d 'Print version'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand show" -l slice -d 'Look at a part of the array, in numpy\'s notation: \'0:10,:,3\'' -r
complete -c cute-shm -n "__fish_cute_shm_using_subcommand show" -l root -d 'Directory of the metadata files [default: $CUTE_SHM_ROOT, else /tmp/cute-shm]' -r -f -a "(__fish_complete_directories)"
complete -c cute-shm -n "__fish_cute_shm_using_subcommand show" -l color -d 'When to use colour; NO_COLOR counts too' -r -f -a "auto\t'On a terminal'
always\t'Always'
never\t'Never'"
complete -c cute-shm -n "__fish_cute_shm_using_subcommand show" -l all-attrs -d 'Print attribute values in full'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand show" -l stats -d 'Count, min, max, mean, standard deviation, NaN and infinities, and a histogram'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand show" -l plot -d 'Draw the array: a line for one dimension, a heat map for two'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand show" -l python -d 'Print Python code that attaches the array, or all arrays, read-only'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand show" -l json -d 'Print exactly one JSON object on standard output, also on failure'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand show" -s q -l quiet -d 'Print no status and no warnings'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand show" -s v -l verbose -d 'Tell more on standard error; twice: every segment created and removed, with times'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand show" -s V -l version -d 'Print version'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand export" -s o -l output -d 'Where to write; - is standard output' -r -F
complete -c cute-shm -n "__fish_cute_shm_using_subcommand export" -l format -d 'The format [default: what FILE\'s suffix tells]' -r -f -a "hdf5\t'HDF5: groups, types and attributes as they were'
npz\t'numpy\'s archive of many arrays'
npy\t'numpy\'s file of one array'
safetensors\t'Tensors for machine learning'"
complete -c cute-shm -n "__fish_cute_shm_using_subcommand export" -l include -d 'Only arrays whose path matches; may be given several times' -r
complete -c cute-shm -n "__fish_cute_shm_using_subcommand export" -l exclude -d 'No array whose path matches; may be given several times' -r
complete -c cute-shm -n "__fish_cute_shm_using_subcommand export" -l gzip -d 'Compress with deflate of this level, 0 to 9 (hdf5 only)' -r
complete -c cute-shm -n "__fish_cute_shm_using_subcommand export" -l lock -d 'Hold this lock meanwhile, as Python\'s filelock does' -r -F
complete -c cute-shm -n "__fish_cute_shm_using_subcommand export" -l root -d 'Directory of the metadata files [default: $CUTE_SHM_ROOT, else /tmp/cute-shm]' -r -f -a "(__fish_complete_directories)"
complete -c cute-shm -n "__fish_cute_shm_using_subcommand export" -l color -d 'When to use colour; NO_COLOR counts too' -r -f -a "auto\t'On a terminal'
always\t'Always'
never\t'Never'"
complete -c cute-shm -n "__fish_cute_shm_using_subcommand export" -l overwrite -d 'Replace FILE if it is there'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand export" -l json -d 'Print exactly one JSON object on standard output, also on failure'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand export" -s q -l quiet -d 'Print no status and no warnings'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand export" -s v -l verbose -d 'Tell more on standard error; twice: every segment created and removed, with times'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand export" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand export" -s V -l version -d 'Print version'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand unlink" -l root -d 'Directory of the metadata files [default: $CUTE_SHM_ROOT, else /tmp/cute-shm]' -r -f -a "(__fish_complete_directories)"
complete -c cute-shm -n "__fish_cute_shm_using_subcommand unlink" -l color -d 'When to use colour; NO_COLOR counts too' -r -f -a "auto\t'On a terminal'
always\t'Always'
never\t'Never'"
complete -c cute-shm -n "__fish_cute_shm_using_subcommand unlink" -s f -l force -d 'A missing project is no error'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand unlink" -l all-users -d 'As root: projects of other users too'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand unlink" -l dry-run -d 'Say what would be removed, and remove nothing'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand unlink" -l json -d 'Print exactly one JSON object on standard output, also on failure'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand unlink" -s q -l quiet -d 'Print no status and no warnings'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand unlink" -s v -l verbose -d 'Tell more on standard error; twice: every segment created and removed, with times'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand unlink" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand unlink" -s V -l version -d 'Print version'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand gc" -l min-age -d 'How old orphans must be, such as 30s, 10min, 2h' -r
complete -c cute-shm -n "__fish_cute_shm_using_subcommand gc" -l job -d 'Take this job off each project\'s list, and reap those with no job left' -r
complete -c cute-shm -n "__fish_cute_shm_using_subcommand gc" -l user -d 'Only what belongs to this user (name or number)' -r
complete -c cute-shm -n "__fish_cute_shm_using_subcommand gc" -l older-than -d 'Persistent projects too that are older than this and that nobody has' -r
complete -c cute-shm -n "__fish_cute_shm_using_subcommand gc" -l root -d 'Directory of the metadata files [default: $CUTE_SHM_ROOT, else /tmp/cute-shm]' -r -f -a "(__fish_complete_directories)"
complete -c cute-shm -n "__fish_cute_shm_using_subcommand gc" -l color -d 'When to use colour; NO_COLOR counts too' -r -f -a "auto\t'On a terminal'
always\t'Always'
never\t'Never'"
complete -c cute-shm -n "__fish_cute_shm_using_subcommand gc" -l dry-run -d 'Say what would be done, and do nothing'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand gc" -l check -d 'Exit 11 when there is something to reap; nothing is reaped'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand gc" -l broken -d 'Broken and corrupt projects too'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand gc" -l orphans -d 'Segments too that nothing claims and nobody has'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand gc" -l repair -d 'Restore the metadata of detached projects from their ledgers'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand gc" -l all-users -d 'As root: whatever belongs to other users too'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand gc" -l best-effort -d 'Report failures, but exit 0: for epilog scripts, where a failure drains the node'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand gc" -l json -d 'Print exactly one JSON object on standard output, also on failure'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand gc" -s q -l quiet -d 'Print no status and no warnings'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand gc" -s v -l verbose -d 'Tell more on standard error; twice: every segment created and removed, with times'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand gc" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand gc" -s V -l version -d 'Print version'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand wait" -l timeout -d 'Give up after so many seconds, with exit code 7 [default: never]' -r
complete -c cute-shm -n "__fish_cute_shm_using_subcommand wait" -l root -d 'Directory of the metadata files [default: $CUTE_SHM_ROOT, else /tmp/cute-shm]' -r -f -a "(__fish_complete_directories)"
complete -c cute-shm -n "__fish_cute_shm_using_subcommand wait" -l color -d 'When to use colour; NO_COLOR counts too' -r -f -a "auto\t'On a terminal'
always\t'Always'
never\t'Never'"
complete -c cute-shm -n "__fish_cute_shm_using_subcommand wait" -l json -d 'Print exactly one JSON object on standard output, also on failure'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand wait" -s q -l quiet -d 'Print no status and no warnings'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand wait" -s v -l verbose -d 'Tell more on standard error; twice: every segment created and removed, with times'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand wait" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand wait" -s V -l version -d 'Print version'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand completions" -l root -d 'Directory of the metadata files [default: $CUTE_SHM_ROOT, else /tmp/cute-shm]' -r -f -a "(__fish_complete_directories)"
complete -c cute-shm -n "__fish_cute_shm_using_subcommand completions" -l color -d 'When to use colour; NO_COLOR counts too' -r -f -a "auto\t'On a terminal'
always\t'Always'
never\t'Never'"
complete -c cute-shm -n "__fish_cute_shm_using_subcommand completions" -l json -d 'Print exactly one JSON object on standard output, also on failure'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand completions" -s q -l quiet -d 'Print no status and no warnings'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand completions" -s v -l verbose -d 'Tell more on standard error; twice: every segment created and removed, with times'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand completions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand completions" -s V -l version -d 'Print version'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand man" -l root -d 'Directory of the metadata files [default: $CUTE_SHM_ROOT, else /tmp/cute-shm]' -r -f -a "(__fish_complete_directories)"
complete -c cute-shm -n "__fish_cute_shm_using_subcommand man" -l color -d 'When to use colour; NO_COLOR counts too' -r -f -a "auto\t'On a terminal'
always\t'Always'
never\t'Never'"
complete -c cute-shm -n "__fish_cute_shm_using_subcommand man" -l json -d 'Print exactly one JSON object on standard output, also on failure'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand man" -s q -l quiet -d 'Print no status and no warnings'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand man" -s v -l verbose -d 'Tell more on standard error; twice: every segment created and removed, with times'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand man" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cute-shm -n "__fish_cute_shm_using_subcommand man" -s V -l version -d 'Print version'
