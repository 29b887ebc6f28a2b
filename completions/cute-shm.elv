
use builtin;
use str;

set edit:completion:arg-completer[cute-shm] = {|@words|
    fn spaces {|n|
        builtin:repeat $n ' ' | str:join ''
    }
    fn cand {|text desc|
        edit:complex-candidate $text &display=$text' '(spaces (- 14 (wcswidth $text)))$desc
    }
    var command = 'cute-shm'
    for word $words[1..-1] {
        if (str:has-prefix $word '-') {
            break
        }
        set command = $command';'$word
    }
    var completions = [
        &'cute-shm'= {
            cand --root 'Directory of the metadata files [default: $CUTE_SHM_ROOT, else /tmp/cute-shm]'
            cand --color 'When to use colour; NO_COLOR counts too'
            cand --json 'Print exactly one JSON object on standard output, also on failure'
            cand -q 'Print no status and no warnings'
            cand --quiet 'Print no status and no warnings'
            cand -v 'Tell more on standard error; twice: every segment created and removed, with times'
            cand --verbose 'Tell more on standard error; twice: every segment created and removed, with times'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
            cand load-hdf5 'Load HDF5 files into shared memory'
            cand list 'List the projects of this node'
            cand show 'Show one project, or one of its arrays'
            cand unlink 'Remove projects: metadata and shared memory'
            cand gc 'Remove what is provably dead: stale and abandoned projects'
            cand wait 'Wait until a project can be read'
            cand completions 'Print the completion script of a shell'
            cand man 'Print the man page, or write all man pages into a directory'
        }
        &'cute-shm;load-hdf5'= {
            cand --until-exit 'Return when it is loaded; a keeper in the background removes it when this process ends'
            cand --wait 'Wait so long for another process at work on the project [default: 0; with --ensure: as long as it takes]'
            cand --include 'Only datasets whose path matches this glob (repeatable): ''/train/**'', ''images'''
            cand --exclude 'No datasets whose path matches this glob (repeatable)'
            cand --mode 'Permissions of the segments and the metadata, in octal'
            cand --group 'Give the segments and the metadata to this group (name or number)'
            cand --grace 'Keep the segments of a replaced project for this long, for readers that are just attaching'
            cand --ready-fd 'Write a line to this descriptor when the project is ready, and close it'
            cand --json-to 'With a command: where the JSON object goes (standard output is the command''s)'
            cand --root 'Directory of the metadata files [default: $CUTE_SHM_ROOT, else /tmp/cute-shm]'
            cand --color 'When to use colour; NO_COLOR counts too'
            cand -p 'Return when it is loaded; the project stays until it is unlinked, or the node reboots'
            cand --persistent 'Return when it is loaded; the project stays until it is unlinked, or the node reboots'
            cand -o 'Replace an existing project once the new one is complete'
            cand --overwrite 'Replace an existing project once the new one is complete'
            cand --ensure 'Nothing to do when it is loaded already from the same unchanged files with the same selection'
            cand --dry-run 'Say what would be loaded and whether it fits, and load nothing'
            cand --strict 'What has no form in shared memory fails the load instead of being left out'
            cand --keep-going 'Load what can be read of a damaged file; exit 10 when something could not'
            cand --no-progress 'Draw no progress bar'
            cand --json 'Print exactly one JSON object on standard output, also on failure'
            cand -q 'Print no status and no warnings'
            cand --quiet 'Print no status and no warnings'
            cand -v 'Tell more on standard error; twice: every segment created and removed, with times'
            cand --verbose 'Tell more on standard error; twice: every segment created and removed, with times'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'cute-shm;list'= {
            cand --root 'Directory of the metadata files [default: $CUTE_SHM_ROOT, else /tmp/cute-shm]'
            cand --color 'When to use colour; NO_COLOR counts too'
            cand -s 'One row a project'
            cand --short 'One row a project'
            cand --check 'Exit 11 when a project is not live (foreign, elsewhere and loading ones aside)'
            cand --json 'Print exactly one JSON object on standard output, also on failure'
            cand -q 'Print no status and no warnings'
            cand --quiet 'Print no status and no warnings'
            cand -v 'Tell more on standard error; twice: every segment created and removed, with times'
            cand --verbose 'Tell more on standard error; twice: every segment created and removed, with times'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'cute-shm;show'= {
            cand --root 'Directory of the metadata files [default: $CUTE_SHM_ROOT, else /tmp/cute-shm]'
            cand --color 'When to use colour; NO_COLOR counts too'
            cand --all-attrs 'Print attribute values in full'
            cand --json 'Print exactly one JSON object on standard output, also on failure'
            cand -q 'Print no status and no warnings'
            cand --quiet 'Print no status and no warnings'
            cand -v 'Tell more on standard error; twice: every segment created and removed, with times'
            cand --verbose 'Tell more on standard error; twice: every segment created and removed, with times'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'cute-shm;unlink'= {
            cand --root 'Directory of the metadata files [default: $CUTE_SHM_ROOT, else /tmp/cute-shm]'
            cand --color 'When to use colour; NO_COLOR counts too'
            cand -f 'A missing project is no error'
            cand --force 'A missing project is no error'
            cand --all-users 'As root: projects of other users too'
            cand --dry-run 'Say what would be removed, and remove nothing'
            cand --json 'Print exactly one JSON object on standard output, also on failure'
            cand -q 'Print no status and no warnings'
            cand --quiet 'Print no status and no warnings'
            cand -v 'Tell more on standard error; twice: every segment created and removed, with times'
            cand --verbose 'Tell more on standard error; twice: every segment created and removed, with times'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'cute-shm;gc'= {
            cand --min-age 'How old orphans must be, such as 30s, 10min, 2h'
            cand --job 'Take this job off each project''s list, and reap those with no job left'
            cand --user 'Only what belongs to this user (name or number)'
            cand --older-than 'Persistent projects too that are older than this and that nobody has'
            cand --root 'Directory of the metadata files [default: $CUTE_SHM_ROOT, else /tmp/cute-shm]'
            cand --color 'When to use colour; NO_COLOR counts too'
            cand --dry-run 'Say what would be done, and do nothing'
            cand --check 'Exit 11 when there is something to reap; nothing is reaped'
            cand --broken 'Broken and corrupt projects too'
            cand --orphans 'Segments too that nothing claims and nobody has'
            cand --repair 'Restore the metadata of detached projects from their ledgers'
            cand --all-users 'As root: whatever belongs to other users too'
            cand --best-effort 'Report failures, but exit 0: for epilog scripts, where a failure drains the node'
            cand --json 'Print exactly one JSON object on standard output, also on failure'
            cand -q 'Print no status and no warnings'
            cand --quiet 'Print no status and no warnings'
            cand -v 'Tell more on standard error; twice: every segment created and removed, with times'
            cand --verbose 'Tell more on standard error; twice: every segment created and removed, with times'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'cute-shm;wait'= {
            cand --timeout 'Give up after so many seconds, with exit code 7 [default: never]'
            cand --root 'Directory of the metadata files [default: $CUTE_SHM_ROOT, else /tmp/cute-shm]'
            cand --color 'When to use colour; NO_COLOR counts too'
            cand --json 'Print exactly one JSON object on standard output, also on failure'
            cand -q 'Print no status and no warnings'
            cand --quiet 'Print no status and no warnings'
            cand -v 'Tell more on standard error; twice: every segment created and removed, with times'
            cand --verbose 'Tell more on standard error; twice: every segment created and removed, with times'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'cute-shm;completions'= {
            cand --root 'Directory of the metadata files [default: $CUTE_SHM_ROOT, else /tmp/cute-shm]'
            cand --color 'When to use colour; NO_COLOR counts too'
            cand --json 'Print exactly one JSON object on standard output, also on failure'
            cand -q 'Print no status and no warnings'
            cand --quiet 'Print no status and no warnings'
            cand -v 'Tell more on standard error; twice: every segment created and removed, with times'
            cand --verbose 'Tell more on standard error; twice: every segment created and removed, with times'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'cute-shm;man'= {
            cand --root 'Directory of the metadata files [default: $CUTE_SHM_ROOT, else /tmp/cute-shm]'
            cand --color 'When to use colour; NO_COLOR counts too'
            cand --json 'Print exactly one JSON object on standard output, also on failure'
            cand -q 'Print no status and no warnings'
            cand --quiet 'Print no status and no warnings'
            cand -v 'Tell more on standard error; twice: every segment created and removed, with times'
            cand --verbose 'Tell more on standard error; twice: every segment created and removed, with times'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
    ]
    $completions[$command]
}
