
using namespace System.Management.Automation
using namespace System.Management.Automation.Language

Register-ArgumentCompleter -Native -CommandName 'cute-shm' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)

    $commandElements = $commandAst.CommandElements
    $command = @(
        'cute-shm'
        for ($i = 1; $i -lt $commandElements.Count; $i++) {
            $element = $commandElements[$i]
            if ($element -isnot [StringConstantExpressionAst] -or
                $element.StringConstantType -ne [StringConstantType]::BareWord -or
                $element.Value.StartsWith('-') -or
                $element.Value -eq $wordToComplete) {
                break
        }
        $element.Value
    }) -join ';'

    $completions = @(switch ($command) {
        'cute-shm' {
            [CompletionResult]::new('--root', '--root', [CompletionResultType]::ParameterName, 'Directory of the metadata files [default: $CUTE_SHM_ROOT, else /tmp/cute-shm]')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colour; NO_COLOR counts too')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print exactly one JSON object on standard output, also on failure')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no status and no warnings')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no status and no warnings')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Tell more on standard error; twice: every segment created, attached and removed, with times')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Tell more on standard error; twice: every segment created, attached and removed, with times')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('load-hdf5', 'load-hdf5', [CompletionResultType]::ParameterValue, 'Load HDF5 files into shared memory')
            [CompletionResult]::new('list', 'list', [CompletionResultType]::ParameterValue, 'List the projects of this node')
            [CompletionResult]::new('show', 'show', [CompletionResultType]::ParameterValue, 'Show one project, or one of its arrays')
            [CompletionResult]::new('export', 'export', [CompletionResultType]::ParameterValue, 'Write a project, a group or an array to a file')
            [CompletionResult]::new('unlink', 'unlink', [CompletionResultType]::ParameterValue, 'Remove projects: metadata and shared memory')
            [CompletionResult]::new('gc', 'gc', [CompletionResultType]::ParameterValue, 'Remove what is provably dead: stale and abandoned projects')
            [CompletionResult]::new('wait', 'wait', [CompletionResultType]::ParameterValue, 'Wait until a project can be read')
            [CompletionResult]::new('doctor', 'doctor', [CompletionResultType]::ParameterValue, 'Say what makes shared memory fail on this node, and what to do')
            [CompletionResult]::new('completions', 'completions', [CompletionResultType]::ParameterValue, 'Print the completion script of a shell')
            [CompletionResult]::new('man', 'man', [CompletionResultType]::ParameterValue, 'Print the man page, or write all man pages into a directory')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print help of the program, or of one command')
            break
        }
        'cute-shm;load-hdf5' {
            [CompletionResult]::new('--until-exit', '--until-exit', [CompletionResultType]::ParameterName, 'Return when it is loaded; a keeper in the background removes it when this process ends')
            [CompletionResult]::new('--wait', '--wait', [CompletionResultType]::ParameterName, 'Wait so long for another process at work on the project [default: 2; with --ensure: as long as it takes]')
            [CompletionResult]::new('--grace', '--grace', [CompletionResultType]::ParameterName, 'Keep the segments of a replaced project for this long, for readers that are just attaching')
            [CompletionResult]::new('--include', '--include', [CompletionResultType]::ParameterName, 'Only datasets whose path matches this glob (repeatable): ''/train/**'', ''images''')
            [CompletionResult]::new('--exclude', '--exclude', [CompletionResultType]::ParameterName, 'No datasets whose path matches this glob (repeatable)')
            [CompletionResult]::new('--rows', '--rows', [CompletionResultType]::ParameterName, 'Only these rows of each array (first axis), cut as a slice is; scalars are loaded whole')
            [CompletionResult]::new('--shard', '--shard', [CompletionResultType]::ParameterName, 'Only share I of N of each array''s rows, I from 0; auto: this node of SLURM_NNODES')
            [CompletionResult]::new('--byte-order', '--byte-order', [CompletionResultType]::ParameterName, 'Turn numbers into the machine''s byte order: torch and others refuse `>f4`')
            [CompletionResult]::new('--dtype', '--dtype', [CompletionResultType]::ParameterName, 'Convert arrays whose path matches, as numpy''s astype does (repeatable): ''/images/*=float32''')
            [CompletionResult]::new('--mode', '--mode', [CompletionResultType]::ParameterName, 'Permissions of the segments and the metadata, in octal')
            [CompletionResult]::new('--group', '--group', [CompletionResultType]::ParameterName, 'Give the segments and the metadata to this group (name or number)')
            [CompletionResult]::new('--as-user', '--as-user', [CompletionResultType]::ParameterName, 'As root: become this user before anything is opened; the project is the user''s')
            [CompletionResult]::new('-j', '-j', [CompletionResultType]::ParameterName, 'Threads that read and decode [default: the processors this process may use]')
            [CompletionResult]::new('--jobs', '--jobs', [CompletionResultType]::ParameterName, 'Threads that read and decode [default: the processors this process may use]')
            [CompletionResult]::new('--numa', '--numa', [CompletionResultType]::ParameterName, 'NUMA nodes to take memory from: interleave (all in turn), local (the reader''s), or a list (0,2-3)')
            [CompletionResult]::new('--json-to', '--json-to', [CompletionResultType]::ParameterName, 'With a command: where the JSON object goes (standard output is the command''s)')
            [CompletionResult]::new('--ready-fd', '--ready-fd', [CompletionResultType]::ParameterName, 'Write a line to this descriptor when the project is ready, and close it')
            [CompletionResult]::new('--root', '--root', [CompletionResultType]::ParameterName, 'Directory of the metadata files [default: $CUTE_SHM_ROOT, else /tmp/cute-shm]')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colour; NO_COLOR counts too')
            [CompletionResult]::new('-p', '-p', [CompletionResultType]::ParameterName, 'Return when it is loaded; the project stays until it is unlinked, or the node reboots')
            [CompletionResult]::new('--persistent', '--persistent', [CompletionResultType]::ParameterName, 'Return when it is loaded; the project stays until it is unlinked, or the node reboots')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'Replace an existing project once the new one is complete')
            [CompletionResult]::new('--overwrite', '--overwrite', [CompletionResultType]::ParameterName, 'Replace an existing project once the new one is complete')
            [CompletionResult]::new('--ensure', '--ensure', [CompletionResultType]::ParameterName, 'Load only if needed; fail if the existing project has other files or another selection')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Say what would be loaded and whether it fits, and load nothing')
            [CompletionResult]::new('--external', '--external', [CompletionResultType]::ParameterName, 'Read other files wherever they are: external links, raw files and virtual sources (default except for root)')
            [CompletionResult]::new('--no-external', '--no-external', [CompletionResultType]::ParameterName, 'Refuse data in any other file: external links, raw files and virtual sources')
            [CompletionResult]::new('--strict', '--strict', [CompletionResultType]::ParameterName, 'What has no form in shared memory fails the load instead of being left out')
            [CompletionResult]::new('--keep-going', '--keep-going', [CompletionResultType]::ParameterName, 'Load what can be read of a damaged file; exit 10 when something could not')
            [CompletionResult]::new('--verify', '--verify', [CompletionResultType]::ParameterName, 'Read everything that the HDF5 library can read once more with it, and compare')
            [CompletionResult]::new('--no-progress', '--no-progress', [CompletionResultType]::ParameterName, 'Draw no progress bar')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print exactly one JSON object on standard output, also on failure')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no status and no warnings')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no status and no warnings')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Tell more on standard error; twice: every segment created, attached and removed, with times')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Tell more on standard error; twice: every segment created, attached and removed, with times')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'cute-shm;list' {
            [CompletionResult]::new('--root', '--root', [CompletionResultType]::ParameterName, 'Directory of the metadata files [default: $CUTE_SHM_ROOT, else /tmp/cute-shm]')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colour; NO_COLOR counts too')
            [CompletionResult]::new('-s', '-s', [CompletionResultType]::ParameterName, 'One row a project')
            [CompletionResult]::new('--short', '--short', [CompletionResultType]::ParameterName, 'One row a project')
            [CompletionResult]::new('--check', '--check', [CompletionResultType]::ParameterName, 'Exit 11 when a project is not live (foreign, elsewhere and loading ones aside)')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print exactly one JSON object on standard output, also on failure')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no status and no warnings')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no status and no warnings')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Tell more on standard error; twice: every segment created, attached and removed, with times')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Tell more on standard error; twice: every segment created, attached and removed, with times')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'cute-shm;show' {
            [CompletionResult]::new('--slice', '--slice', [CompletionResultType]::ParameterName, 'Look at a part of the array, in numpy''s notation: ''0:10,:,3''')
            [CompletionResult]::new('--root', '--root', [CompletionResultType]::ParameterName, 'Directory of the metadata files [default: $CUTE_SHM_ROOT, else /tmp/cute-shm]')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colour; NO_COLOR counts too')
            [CompletionResult]::new('--all-attrs', '--all-attrs', [CompletionResultType]::ParameterName, 'Print attribute values and long names in full')
            [CompletionResult]::new('--stats', '--stats', [CompletionResultType]::ParameterName, 'Count, min, max, mean, standard deviation, NaN and infinities, and a histogram')
            [CompletionResult]::new('--plot', '--plot', [CompletionResultType]::ParameterName, 'Draw the array: a line for one dimension, a heat map for two')
            [CompletionResult]::new('--python', '--python', [CompletionResultType]::ParameterName, 'Print Python code that attaches the array, or all arrays, read-only')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print exactly one JSON object on standard output, also on failure')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no status and no warnings')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no status and no warnings')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Tell more on standard error; twice: every segment created, attached and removed, with times')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Tell more on standard error; twice: every segment created, attached and removed, with times')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'cute-shm;export' {
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'Where to write; - is standard output')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'Where to write; - is standard output')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'The format [default: what FILE''s suffix tells]')
            [CompletionResult]::new('--include', '--include', [CompletionResultType]::ParameterName, 'Only arrays whose path matches; may be given several times')
            [CompletionResult]::new('--exclude', '--exclude', [CompletionResultType]::ParameterName, 'No array whose path matches; may be given several times')
            [CompletionResult]::new('--gzip', '--gzip', [CompletionResultType]::ParameterName, 'Compress with deflate of this level, 0 to 9 (hdf5 only)')
            [CompletionResult]::new('--lock', '--lock', [CompletionResultType]::ParameterName, 'Hold this lock meanwhile, as Python''s filelock does')
            [CompletionResult]::new('--root', '--root', [CompletionResultType]::ParameterName, 'Directory of the metadata files [default: $CUTE_SHM_ROOT, else /tmp/cute-shm]')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colour; NO_COLOR counts too')
            [CompletionResult]::new('--overwrite', '--overwrite', [CompletionResultType]::ParameterName, 'Replace FILE if it is there')
            [CompletionResult]::new('--strict', '--strict', [CompletionResultType]::ParameterName, 'Fail if the file cannot hold everything, instead of leaving data out')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print exactly one JSON object on standard output, also on failure')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no status and no warnings')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no status and no warnings')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Tell more on standard error; twice: every segment created, attached and removed, with times')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Tell more on standard error; twice: every segment created, attached and removed, with times')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'cute-shm;unlink' {
            [CompletionResult]::new('--root', '--root', [CompletionResultType]::ParameterName, 'Directory of the metadata files [default: $CUTE_SHM_ROOT, else /tmp/cute-shm]')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colour; NO_COLOR counts too')
            [CompletionResult]::new('-f', '-f', [CompletionResultType]::ParameterName, 'Ignore projects that do not exist')
            [CompletionResult]::new('--force', '--force', [CompletionResultType]::ParameterName, 'Ignore projects that do not exist')
            [CompletionResult]::new('--all-users', '--all-users', [CompletionResultType]::ParameterName, 'As root, also remove projects of other users, and files that block a project name')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Print what would be removed and remove nothing')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print exactly one JSON object on standard output, also on failure')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no status and no warnings')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no status and no warnings')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Tell more on standard error; twice: every segment created, attached and removed, with times')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Tell more on standard error; twice: every segment created, attached and removed, with times')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'cute-shm;gc' {
            [CompletionResult]::new('--min-age', '--min-age', [CompletionResultType]::ParameterName, 'Minimum age of orphaned segments, such as 30s, 10m, 12h or 7d')
            [CompletionResult]::new('--job', '--job', [CompletionResultType]::ParameterName, 'Take this job off each project''s list, and remove the projects with no job left')
            [CompletionResult]::new('--live-jobs', '--live-jobs', [CompletionResultType]::ParameterName, 'The same for every scheduler job that is not in this list (separated by blanks or commas)')
            [CompletionResult]::new('--before', '--before', [CompletionResultType]::ParameterName, 'Keep job entries newer than this Unix time in seconds [default: now]')
            [CompletionResult]::new('--user', '--user', [CompletionResultType]::ParameterName, 'Handle only the projects of this user (name or number)')
            [CompletionResult]::new('--older-than', '--older-than', [CompletionResultType]::ParameterName, 'Also remove unused persistent projects older than this, such as 12h or 7d')
            [CompletionResult]::new('--time-limit', '--time-limit', [CompletionResultType]::ParameterName, 'Stop after this time and report the rest, such as 10s [default with --best-effort: 30s]')
            [CompletionResult]::new('--root', '--root', [CompletionResultType]::ParameterName, 'Directory of the metadata files [default: $CUTE_SHM_ROOT, else /tmp/cute-shm]')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colour; NO_COLOR counts too')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Print what would be done and do nothing')
            [CompletionResult]::new('--check', '--check', [CompletionResultType]::ParameterName, 'Exit 11 if there is something to remove; remove nothing')
            [CompletionResult]::new('--broken', '--broken', [CompletionResultType]::ParameterName, 'Also remove broken and corrupt projects')
            [CompletionResult]::new('--orphans', '--orphans', [CompletionResultType]::ParameterName, 'Also remove orphaned segments that no process uses')
            [CompletionResult]::new('--repair', '--repair', [CompletionResultType]::ParameterName, 'Restore the metadata of detached projects from their ledgers')
            [CompletionResult]::new('--all-users', '--all-users', [CompletionResultType]::ParameterName, 'As root, handle the projects of all users')
            [CompletionResult]::new('--all-roots', '--all-roots', [CompletionResultType]::ParameterName, 'Handle the projects of all roots, not only of the root in force')
            [CompletionResult]::new('--best-effort', '--best-effort', [CompletionResultType]::ParameterName, 'Report failures but exit 0, for epilogs, where a failure drains the node')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print exactly one JSON object on standard output, also on failure')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no status and no warnings')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no status and no warnings')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Tell more on standard error; twice: every segment created, attached and removed, with times')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Tell more on standard error; twice: every segment created, attached and removed, with times')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'cute-shm;wait' {
            [CompletionResult]::new('--timeout', '--timeout', [CompletionResultType]::ParameterName, 'Give up after so many seconds, with exit code 7 [default: never]')
            [CompletionResult]::new('--root', '--root', [CompletionResultType]::ParameterName, 'Directory of the metadata files [default: $CUTE_SHM_ROOT, else /tmp/cute-shm]')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colour; NO_COLOR counts too')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print exactly one JSON object on standard output, also on failure')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no status and no warnings')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no status and no warnings')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Tell more on standard error; twice: every segment created, attached and removed, with times')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Tell more on standard error; twice: every segment created, attached and removed, with times')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'cute-shm;doctor' {
            [CompletionResult]::new('--user', '--user', [CompletionResultType]::ParameterName, 'Check for this user (name or number) instead of the caller; needs root')
            [CompletionResult]::new('--root', '--root', [CompletionResultType]::ParameterName, 'Directory of the metadata files [default: $CUTE_SHM_ROOT, else /tmp/cute-shm]')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colour; NO_COLOR counts too')
            [CompletionResult]::new('--check', '--check', [CompletionResultType]::ParameterName, 'Exit 11 when there is a warning or a problem')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print exactly one JSON object on standard output, also on failure')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no status and no warnings')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no status and no warnings')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Tell more on standard error; twice: every segment created, attached and removed, with times')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Tell more on standard error; twice: every segment created, attached and removed, with times')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'cute-shm;completions' {
            [CompletionResult]::new('--root', '--root', [CompletionResultType]::ParameterName, 'Directory of the metadata files [default: $CUTE_SHM_ROOT, else /tmp/cute-shm]')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colour; NO_COLOR counts too')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print exactly one JSON object on standard output, also on failure')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no status and no warnings')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no status and no warnings')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Tell more on standard error; twice: every segment created, attached and removed, with times')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Tell more on standard error; twice: every segment created, attached and removed, with times')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'cute-shm;man' {
            [CompletionResult]::new('--root', '--root', [CompletionResultType]::ParameterName, 'Directory of the metadata files [default: $CUTE_SHM_ROOT, else /tmp/cute-shm]')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colour; NO_COLOR counts too')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print exactly one JSON object on standard output, also on failure')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no status and no warnings')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no status and no warnings')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Tell more on standard error; twice: every segment created, attached and removed, with times')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Tell more on standard error; twice: every segment created, attached and removed, with times')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'cute-shm;help' {
            [CompletionResult]::new('--root', '--root', [CompletionResultType]::ParameterName, 'Directory of the metadata files [default: $CUTE_SHM_ROOT, else /tmp/cute-shm]')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colour; NO_COLOR counts too')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print exactly one JSON object on standard output, also on failure')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no status and no warnings')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no status and no warnings')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Tell more on standard error; twice: every segment created, attached and removed, with times')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Tell more on standard error; twice: every segment created, attached and removed, with times')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
    })

    $completions.Where{ $_.CompletionText -like "$wordToComplete*" } |
        Sort-Object -Property ListItemText
}
