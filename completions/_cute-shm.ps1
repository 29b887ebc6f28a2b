
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
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use color; also honors NO_COLOR')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print one JSON object to stdout, also on failure')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Suppress status messages and warnings')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Suppress status messages and warnings')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Print more to stderr; -vv logs each segment created, attached or removed')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Print more to stderr; -vv logs each segment created, attached or removed')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('load-hdf5', 'load-hdf5', [CompletionResultType]::ParameterValue, 'Load HDF5 files into shared memory')
            [CompletionResult]::new('list', 'list', [CompletionResultType]::ParameterValue, 'List the projects of this node')
            [CompletionResult]::new('show', 'show', [CompletionResultType]::ParameterValue, 'Show a project or one of its arrays')
            [CompletionResult]::new('export', 'export', [CompletionResultType]::ParameterValue, 'Export a project, a group or an array to a file')
            [CompletionResult]::new('unlink', 'unlink', [CompletionResultType]::ParameterValue, 'Remove projects and free their shared memory')
            [CompletionResult]::new('gc', 'gc', [CompletionResultType]::ParameterValue, 'Remove dead projects and free their shared memory')
            [CompletionResult]::new('wait', 'wait', [CompletionResultType]::ParameterValue, 'Wait until a project is loaded')
            [CompletionResult]::new('doctor', 'doctor', [CompletionResultType]::ParameterValue, 'Check this node for shared-memory problems and suggest fixes')
            [CompletionResult]::new('completions', 'completions', [CompletionResultType]::ParameterValue, 'Print the completion script for a shell')
            [CompletionResult]::new('man', 'man', [CompletionResultType]::ParameterValue, 'Print the manual page of the program, or write all manual pages to a directory')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print help for the program or a command')
            break
        }
        'cute-shm;load-hdf5' {
            [CompletionResult]::new('--until-exit', '--until-exit', [CompletionResultType]::ParameterName, 'Return after the load; a background keeper removes the project when process PID exits')
            [CompletionResult]::new('--wait', '--wait', [CompletionResultType]::ParameterName, 'How long to wait for another process that is using this project [default: 2; with --ensure: no limit]')
            [CompletionResult]::new('--grace', '--grace', [CompletionResultType]::ParameterName, 'How long to keep the segments of a replaced project, for readers that are attaching')
            [CompletionResult]::new('--include', '--include', [CompletionResultType]::ParameterName, 'Load only datasets whose path matches this glob, such as ''/train/**'' or images (repeatable)')
            [CompletionResult]::new('--exclude', '--exclude', [CompletionResultType]::ParameterName, 'Skip datasets whose path matches this glob (repeatable)')
            [CompletionResult]::new('--rows', '--rows', [CompletionResultType]::ParameterName, 'Load only rows START to STOP of the first axis, clipped like a Python slice')
            [CompletionResult]::new('--shard', '--shard', [CompletionResultType]::ParameterName, 'Load only share I (from 0) of N of the rows; auto: the share of this Slurm node')
            [CompletionResult]::new('--byte-order', '--byte-order', [CompletionResultType]::ParameterName, 'Convert numbers to this byte order, for libraries that reject >f4 (such as torch)')
            [CompletionResult]::new('--dtype', '--dtype', [CompletionResultType]::ParameterName, 'Convert matching arrays like numpy''s astype, such as ''/images/*=float32'' (repeatable)')
            [CompletionResult]::new('--mode', '--mode', [CompletionResultType]::ParameterName, 'Permissions of segments and metadata, in octal')
            [CompletionResult]::new('--group', '--group', [CompletionResultType]::ParameterName, 'Group of segments and metadata (name or number)')
            [CompletionResult]::new('--as-user', '--as-user', [CompletionResultType]::ParameterName, 'As root, load as this user, who then owns the project')
            [CompletionResult]::new('-j', '-j', [CompletionResultType]::ParameterName, 'Number of worker threads [default: number of processors]')
            [CompletionResult]::new('--jobs', '--jobs', [CompletionResultType]::ParameterName, 'Number of worker threads [default: number of processors]')
            [CompletionResult]::new('--numa', '--numa', [CompletionResultType]::ParameterName, 'NUMA nodes to allocate from: interleave, local, or a list such as 0,2-3')
            [CompletionResult]::new('--json-to', '--json-to', [CompletionResultType]::ParameterName, 'Write the JSON object to FILE, because CMD owns stdout')
            [CompletionResult]::new('--ready-fd', '--ready-fd', [CompletionResultType]::ParameterName, 'Write a line to this file descriptor when the project is ready, and close it')
            [CompletionResult]::new('--root', '--root', [CompletionResultType]::ParameterName, 'Directory of the metadata files [default: $CUTE_SHM_ROOT, else /tmp/cute-shm]')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use color; also honors NO_COLOR')
            [CompletionResult]::new('-p', '-p', [CompletionResultType]::ParameterName, 'Return after the load; the project remains until it is unlinked or the node reboots')
            [CompletionResult]::new('--persistent', '--persistent', [CompletionResultType]::ParameterName, 'Return after the load; the project remains until it is unlinked or the node reboots')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'Replace an existing project when the new one is complete')
            [CompletionResult]::new('--overwrite', '--overwrite', [CompletionResultType]::ParameterName, 'Replace an existing project when the new one is complete')
            [CompletionResult]::new('--ensure', '--ensure', [CompletionResultType]::ParameterName, 'Load only if needed; fail if the existing project has other sources or another selection')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Print the load plan and whether it fits in memory, and load nothing')
            [CompletionResult]::new('--external', '--external', [CompletionResultType]::ParameterName, 'Follow external links, raw files and virtual sources in any directory [default, except for root]')
            [CompletionResult]::new('--no-external', '--no-external', [CompletionResultType]::ParameterName, 'Refuse external links, raw files and virtual sources')
            [CompletionResult]::new('--strict', '--strict', [CompletionResultType]::ParameterName, 'Fail if any data cannot be represented, instead of skipping it')
            [CompletionResult]::new('--keep-going', '--keep-going', [CompletionResultType]::ParameterName, 'Load the readable part of a damaged file, and exit 10 if anything was unreadable')
            [CompletionResult]::new('--verify', '--verify', [CompletionResultType]::ParameterName, 'Read the data again with the HDF5 library after the load, and compare')
            [CompletionResult]::new('--no-progress', '--no-progress', [CompletionResultType]::ParameterName, 'Hide the progress bar')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print one JSON object to stdout, also on failure')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Suppress status messages and warnings')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Suppress status messages and warnings')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Print more to stderr; -vv logs each segment created, attached or removed')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Print more to stderr; -vv logs each segment created, attached or removed')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'cute-shm;list' {
            [CompletionResult]::new('--root', '--root', [CompletionResultType]::ParameterName, 'Directory of the metadata files [default: $CUTE_SHM_ROOT, else /tmp/cute-shm]')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use color; also honors NO_COLOR')
            [CompletionResult]::new('-s', '-s', [CompletionResultType]::ParameterName, 'Print one row per project')
            [CompletionResult]::new('--short', '--short', [CompletionResultType]::ParameterName, 'Print one row per project')
            [CompletionResult]::new('--check', '--check', [CompletionResultType]::ParameterName, 'Exit 11 if a project is not live (ignores foreign, elsewhere and loading)')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print one JSON object to stdout, also on failure')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Suppress status messages and warnings')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Suppress status messages and warnings')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Print more to stderr; -vv logs each segment created, attached or removed')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Print more to stderr; -vv logs each segment created, attached or removed')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'cute-shm;show' {
            [CompletionResult]::new('--slice', '--slice', [CompletionResultType]::ParameterName, 'Show a part of the array in numpy notation, such as ''0:10,:,3''')
            [CompletionResult]::new('--root', '--root', [CompletionResultType]::ParameterName, 'Directory of the metadata files [default: $CUTE_SHM_ROOT, else /tmp/cute-shm]')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use color; also honors NO_COLOR')
            [CompletionResult]::new('--all-attrs', '--all-attrs', [CompletionResultType]::ParameterName, 'Print attribute values and long names in full')
            [CompletionResult]::new('--stats', '--stats', [CompletionResultType]::ParameterName, 'Print count, min, max, mean, std, NaN and infinity counts, and a histogram')
            [CompletionResult]::new('--plot', '--plot', [CompletionResultType]::ParameterName, 'Plot the array: a line for one dimension, a heat map for two')
            [CompletionResult]::new('--python', '--python', [CompletionResultType]::ParameterName, 'Print Python code that attaches the arrays read-only')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print one JSON object to stdout, also on failure')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Suppress status messages and warnings')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Suppress status messages and warnings')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Print more to stderr; -vv logs each segment created, attached or removed')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Print more to stderr; -vv logs each segment created, attached or removed')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'cute-shm;export' {
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'Output file; - writes to stdout')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'Output file; - writes to stdout')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'File format [default: from the suffix of FILE]')
            [CompletionResult]::new('--include', '--include', [CompletionResultType]::ParameterName, 'Export only arrays whose path matches this glob (repeatable)')
            [CompletionResult]::new('--exclude', '--exclude', [CompletionResultType]::ParameterName, 'Skip arrays whose path matches this glob (repeatable)')
            [CompletionResult]::new('--gzip', '--gzip', [CompletionResultType]::ParameterName, 'Compress with gzip level 0 to 9 (hdf5 only)')
            [CompletionResult]::new('--lock', '--lock', [CompletionResultType]::ParameterName, 'Hold an exclusive lock on FILE during the export (compatible with Python''s filelock)')
            [CompletionResult]::new('--root', '--root', [CompletionResultType]::ParameterName, 'Directory of the metadata files [default: $CUTE_SHM_ROOT, else /tmp/cute-shm]')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use color; also honors NO_COLOR')
            [CompletionResult]::new('--overwrite', '--overwrite', [CompletionResultType]::ParameterName, 'Replace FILE if it exists')
            [CompletionResult]::new('--strict', '--strict', [CompletionResultType]::ParameterName, 'Fail if the format cannot represent all data, instead of leaving data out')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print one JSON object to stdout, also on failure')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Suppress status messages and warnings')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Suppress status messages and warnings')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Print more to stderr; -vv logs each segment created, attached or removed')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Print more to stderr; -vv logs each segment created, attached or removed')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'cute-shm;unlink' {
            [CompletionResult]::new('--root', '--root', [CompletionResultType]::ParameterName, 'Directory of the metadata files [default: $CUTE_SHM_ROOT, else /tmp/cute-shm]')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use color; also honors NO_COLOR')
            [CompletionResult]::new('-f', '-f', [CompletionResultType]::ParameterName, 'Ignore projects that do not exist')
            [CompletionResult]::new('--force', '--force', [CompletionResultType]::ParameterName, 'Ignore projects that do not exist')
            [CompletionResult]::new('--all-users', '--all-users', [CompletionResultType]::ParameterName, 'As root, also remove projects of other users, and files that block a project name')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Print the planned removals and remove nothing')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print one JSON object to stdout, also on failure')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Suppress status messages and warnings')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Suppress status messages and warnings')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Print more to stderr; -vv logs each segment created, attached or removed')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Print more to stderr; -vv logs each segment created, attached or removed')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'cute-shm;gc' {
            [CompletionResult]::new('--min-age', '--min-age', [CompletionResultType]::ParameterName, 'Minimum age of orphaned segments, such as 30s, 10m, 12h or 7d')
            [CompletionResult]::new('--job', '--job', [CompletionResultType]::ParameterName, 'Remove this job from the job list of each project, and remove projects without jobs')
            [CompletionResult]::new('--live-jobs', '--live-jobs', [CompletionResultType]::ParameterName, 'Do the same for each scheduler job not in IDS (separated by spaces or commas)')
            [CompletionResult]::new('--before', '--before', [CompletionResultType]::ParameterName, 'Keep job entries newer than this Unix time in seconds [default: now]')
            [CompletionResult]::new('--user', '--user', [CompletionResultType]::ParameterName, 'Process only projects of this user (name or number)')
            [CompletionResult]::new('--older-than', '--older-than', [CompletionResultType]::ParameterName, 'Also remove unused persistent projects older than this, such as 12h or 7d')
            [CompletionResult]::new('--time-limit', '--time-limit', [CompletionResultType]::ParameterName, 'Stop after this time and report the rest, such as 10s [default with --best-effort: 30s]')
            [CompletionResult]::new('--root', '--root', [CompletionResultType]::ParameterName, 'Directory of the metadata files [default: $CUTE_SHM_ROOT, else /tmp/cute-shm]')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use color; also honors NO_COLOR')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Print the planned actions and change nothing')
            [CompletionResult]::new('--check', '--check', [CompletionResultType]::ParameterName, 'Exit 11 if anything can be removed, and remove nothing')
            [CompletionResult]::new('--broken', '--broken', [CompletionResultType]::ParameterName, 'Also remove broken and corrupt projects')
            [CompletionResult]::new('--orphans', '--orphans', [CompletionResultType]::ParameterName, 'Also remove orphaned segments that no process uses')
            [CompletionResult]::new('--repair', '--repair', [CompletionResultType]::ParameterName, 'Restore the metadata of detached projects from their ledgers')
            [CompletionResult]::new('--all-users', '--all-users', [CompletionResultType]::ParameterName, 'As root, process the projects of all users')
            [CompletionResult]::new('--all-roots', '--all-roots', [CompletionResultType]::ParameterName, 'Process the projects of all roots')
            [CompletionResult]::new('--best-effort', '--best-effort', [CompletionResultType]::ParameterName, 'Report failures but exit 0, for epilogs, where a failure drains the node')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print one JSON object to stdout, also on failure')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Suppress status messages and warnings')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Suppress status messages and warnings')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Print more to stderr; -vv logs each segment created, attached or removed')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Print more to stderr; -vv logs each segment created, attached or removed')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'cute-shm;wait' {
            [CompletionResult]::new('--timeout', '--timeout', [CompletionResultType]::ParameterName, 'Exit with code 7 after this time [default: no limit]')
            [CompletionResult]::new('--root', '--root', [CompletionResultType]::ParameterName, 'Directory of the metadata files [default: $CUTE_SHM_ROOT, else /tmp/cute-shm]')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use color; also honors NO_COLOR')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print one JSON object to stdout, also on failure')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Suppress status messages and warnings')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Suppress status messages and warnings')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Print more to stderr; -vv logs each segment created, attached or removed')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Print more to stderr; -vv logs each segment created, attached or removed')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'cute-shm;doctor' {
            [CompletionResult]::new('--user', '--user', [CompletionResultType]::ParameterName, 'As root, check for this user (name or number)')
            [CompletionResult]::new('--root', '--root', [CompletionResultType]::ParameterName, 'Directory of the metadata files [default: $CUTE_SHM_ROOT, else /tmp/cute-shm]')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use color; also honors NO_COLOR')
            [CompletionResult]::new('--check', '--check', [CompletionResultType]::ParameterName, 'Exit 11 if there is a warning or a problem')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print one JSON object to stdout, also on failure')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Suppress status messages and warnings')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Suppress status messages and warnings')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Print more to stderr; -vv logs each segment created, attached or removed')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Print more to stderr; -vv logs each segment created, attached or removed')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'cute-shm;completions' {
            [CompletionResult]::new('--root', '--root', [CompletionResultType]::ParameterName, 'Directory of the metadata files [default: $CUTE_SHM_ROOT, else /tmp/cute-shm]')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use color; also honors NO_COLOR')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print one JSON object to stdout, also on failure')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Suppress status messages and warnings')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Suppress status messages and warnings')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Print more to stderr; -vv logs each segment created, attached or removed')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Print more to stderr; -vv logs each segment created, attached or removed')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'cute-shm;man' {
            [CompletionResult]::new('--root', '--root', [CompletionResultType]::ParameterName, 'Directory of the metadata files [default: $CUTE_SHM_ROOT, else /tmp/cute-shm]')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use color; also honors NO_COLOR')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print one JSON object to stdout, also on failure')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Suppress status messages and warnings')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Suppress status messages and warnings')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Print more to stderr; -vv logs each segment created, attached or removed')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Print more to stderr; -vv logs each segment created, attached or removed')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'cute-shm;help' {
            [CompletionResult]::new('--root', '--root', [CompletionResultType]::ParameterName, 'Directory of the metadata files [default: $CUTE_SHM_ROOT, else /tmp/cute-shm]')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use color; also honors NO_COLOR')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print one JSON object to stdout, also on failure')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Suppress status messages and warnings')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Suppress status messages and warnings')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Print more to stderr; -vv logs each segment created, attached or removed')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Print more to stderr; -vv logs each segment created, attached or removed')
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
