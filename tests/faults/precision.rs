//! gc on random mixtures of projects in all states, which the library creates step by step: gc removes no live
//! project and every dead one.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;

use cute_shm::internals::{
    Access, BatchJob, Keeper, LedgerStore, Lifetime, LivenessLock, Mark, NewSegment, NodeDirs,
    Paths, ProjectName, Record, SegmentName, Selection, Token, removal,
};

use super::commands::Sandbox;
use super::support::{Rng, figure, rounds};

/// The kinds of projects, in all variants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Persistent,
    Held,
    Loading,
    LoadKilled,
    HeldKilled,
    RemovalKilled,
    OverwriteKilled,
    OverwriteKilledAfterCommit,
    BeganOnly,
    Stale,
    StaleSinceBoot,
    Broken,
    Corrupt,
    NamesAnother,
    Detached,
    Orphan,
    OrphanInUse,
    Python,
    PythonReplacedOurs,
    OtherBootAndHost,
    OtherShm,
    OfJob,
}

const KINDS: [Kind; 22] = [
    Kind::Persistent,
    Kind::Held,
    Kind::Loading,
    Kind::LoadKilled,
    Kind::HeldKilled,
    Kind::RemovalKilled,
    Kind::OverwriteKilled,
    Kind::OverwriteKilledAfterCommit,
    Kind::BeganOnly,
    Kind::Stale,
    Kind::StaleSinceBoot,
    Kind::Broken,
    Kind::Corrupt,
    Kind::NamesAnother,
    Kind::Detached,
    Kind::Orphan,
    Kind::OrphanInUse,
    Kind::Python,
    Kind::PythonReplacedOurs,
    Kind::OtherBootAndHost,
    Kind::OtherShm,
    Kind::OfJob,
];

/// The expected action of gc.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Untouched,
    Gone,
    /// The dead files of the project are removed; the project with its listed files remains.
    Cleared,
    Repaired,
}

/// The options of gc in a trial.
#[derive(Debug, Clone, Copy)]
struct Asked {
    broken: bool,
    orphans: bool,
    repair: bool,
    job: bool,
}

impl Asked {
    fn random(rng: &mut Rng) -> Self {
        let [broken, orphans, repair, job] = [(); 4].map(|()| rng.below(2) == 0);
        Self { broken, orphans, repair, job }
    }

    fn args(self) -> Vec<&'static str> {
        let mut args = vec!["gc", "--json", "--min-age", "0s"];
        for (asked, arg) in
            [(self.broken, "--broken"), (self.orphans, "--orphans"), (self.repair, "--repair")]
        {
            args.extend(asked.then_some(arg));
        }
        args.extend(self.job.then_some(["--job", "77"]).into_iter().flatten());
        args
    }
}

impl Kind {
    fn fate(self, asked: Asked) -> Fate {
        let if_asked = |asked: bool, fate| if asked { fate } else { Fate::Untouched };
        match self {
            Self::Persistent | Self::Held | Self::Loading | Self::OrphanInUse | Self::Python => {
                Fate::Untouched
            }
            Self::OtherBootAndHost | Self::OtherShm => Fate::Untouched,
            Self::LoadKilled | Self::HeldKilled | Self::RemovalKilled | Self::BeganOnly => {
                Fate::Gone
            }
            Self::Stale | Self::StaleSinceBoot => Fate::Gone,
            Self::OverwriteKilled | Self::OverwriteKilledAfterCommit | Self::PythonReplacedOurs => {
                Fate::Cleared
            }
            Self::Broken | Self::Corrupt | Self::NamesAnother => if_asked(asked.broken, Fate::Gone),
            Self::Detached => if_asked(asked.repair, Fate::Repaired),
            Self::Orphan => if_asked(asked.orphans, Fate::Gone),
            Self::OfJob => if_asked(asked.job, Fate::Gone),
        }
    }
}

/// A resource that keeps a project alive during a trial.
#[derive(Default)]
struct Alive<'a> {
    changes: Vec<LedgerStore<'a>>,
    lives: Vec<LivenessLock>,
    files: Vec<fs::File>,
}

struct Maker<'a> {
    sandbox: &'a Sandbox,
    dirs: &'a NodeDirs,
    alive: Alive<'a>,
}

impl<'a> Maker<'a> {
    fn record(&self, token: &Token, lifetime: Lifetime, job: bool) -> Record {
        let job = job.then(|| BatchJob {
            scheduler: "slurm".to_owned(),
            id: "77".to_owned(),
            restart: 0,
            since: String::new(),
        });
        Record {
            token: token.clone(),
            lifetime,
            created: "2026-01-01T00:00:00Z".to_owned(),
            tool: "faults".to_owned(),
            keeper: Keeper { pid: 1, start_time: 1, boot_id: self.dirs.host.boot.clone(), uid: 0 },
            jobs: job.into_iter().collect(),
            files: Vec::new(),
            sources: Vec::new(),
            complete: true,
            skip_count: 0,
            selection: Selection { mode: 0o600, ..Selection::default() },
            left_out: Vec::new(),
            attributes: toml::Table::new(),
            origin: None,
            replaces: Vec::new(),
            metadata: None,
        }
    }

    fn begin(&self, name: &ProjectName) -> LedgerStore<'a> {
        LedgerStore::begin(self.dirs, name, &mut || Ok(false)).expect("the change lock")
    }

    fn segments(&self, name: &ProjectName, token: &Token, count: u64) -> Vec<String> {
        let make = |number| {
            let segment = SegmentName::new(name, token, number);
            let made = NewSegment::create(&self.dirs.shm, segment.clone(), 8).expect("a segment");
            made.reserve_part(0, 8).expect("memory");
            made.persist();
            segment.to_text()
        };
        (0..count).map(make).collect()
    }

    fn text(&self, token: Option<&Token>, segments: &[String]) -> String {
        let mark = token.map(|token| Mark {
            token: token.clone(),
            boot: self.dirs.host.boot.clone(),
            host: self.dirs.host.name.clone(),
            shm: self.dirs.shm.id().to_string(),
        });
        let mut text = mark.map_or_else(String::new, |mark| format!("{mark}\n"));
        for (number, segment) in segments.iter().enumerate() {
            let _ = write!(
                text,
                "[a{number}]\nshm_name = \"{segment}\"\nshm_private_name = \"/{segment}\"\nshape = [1]\n\
                 dtype = \"int64\"\n[a{number}.attrs]\n"
            );
        }
        text
    }

    /// Loads a whole project, and leaves the change open.
    fn project(
        &mut self,
        name: &ProjectName,
        lifetime: Lifetime,
        job: bool,
    ) -> (LedgerStore<'a>, Token) {
        let token = Token::random().expect("a token");
        let mut store = self.begin(name);
        store.announce(self.record(&token, lifetime, job)).expect("to announce");
        let segments = self.segments(name, &token, 2);
        if lifetime == Lifetime::Held {
            let life = LivenessLock::take(&self.dirs.shm, store.lock().key(), &token);
            self.alive.lives.push(life.expect("the life lock"));
        }
        let text = self.text(Some(&token), &segments);
        store.publish(text, &Access::default(), true, |_| (), || ()).expect("to publish");
        (store, token)
    }

    fn edit(&self, name: &str, edit: impl FnOnce(String) -> String) {
        let path = self.sandbox.metadata(name);
        let text = edit(fs::read_to_string(&path).expect("metadata"));
        fs::write(path, text).expect("to write metadata");
    }

    fn remove_segments(&self, name: &str, keep: usize) {
        for segment in self.sandbox.segments(name).expect("a project").iter().skip(keep) {
            fs::remove_file(self.sandbox.shm().join(segment)).expect("a segment");
        }
    }

    /// Creates a project of this kind. A dropped change has the effect of a killed process: its locks
    /// are free, and its files remain.
    #[expect(clippy::too_many_lines, reason = "one arm for each kind")]
    fn make(&mut self, text: &str, kind: Kind) {
        let name = ProjectName::new(OsStr::new(text)).expect("a name");
        let token = Token::random().expect("a token");
        match kind {
            Kind::Persistent => drop(self.project(&name, Lifetime::Persistent, false)),
            Kind::OfJob => drop(self.project(&name, Lifetime::Persistent, true)),
            Kind::Held => drop(self.project(&name, Lifetime::Held, false)),
            Kind::HeldKilled => {
                drop(self.project(&name, Lifetime::Held, false));
                self.alive.lives.pop();
            }
            Kind::Loading | Kind::LoadKilled => {
                let mut store = self.begin(&name);
                store.announce(self.record(&token, Lifetime::Held, false)).expect("to announce");
                self.segments(&name, &token, 2);
                if kind == Kind::Loading {
                    self.alive.changes.push(store);
                }
            }
            Kind::BeganOnly => drop(self.begin(&name)),
            Kind::RemovalKilled => {
                let (store, _) = self.project(&name, Lifetime::Persistent, false);
                let project = store.judge().expect("to judge").expect("a project");
                let mut ledger = project.ledger.clone().expect("a ledger");
                let names = project.all_segments().iter().map(SegmentName::to_text).collect();
                ledger.removing = Some(names);
                ledger.write(&self.dirs.shm, store.lock().key()).expect("to write");
                let first = &project.all_segments()[0];
                removal::remove_segment(&self.dirs.shm, first, store.lock().key().uid)
                    .expect("to remove");
                fs::remove_file(self.sandbox.metadata(text)).expect("metadata");
            }
            Kind::OverwriteKilled => {
                let (mut store, _) = self.project(&name, Lifetime::Persistent, false);
                store.announce(self.record(&token, Lifetime::Held, false)).expect("to announce");
                self.segments(&name, &token, 2);
            }
            Kind::OverwriteKilledAfterCommit => {
                let (mut store, _) = self.project(&name, Lifetime::Persistent, false);
                let next = self.record(&token, Lifetime::Persistent, false);
                store.announce(next).expect("to announce");
                let segments = self.segments(&name, &token, 2);
                self.edit(text, |_| self.text(Some(&token), &segments));
            }
            Kind::Stale => {
                drop(self.project(&name, Lifetime::Persistent, false));
                self.remove_segments(text, 0);
            }
            Kind::StaleSinceBoot => {
                drop(self.project(&name, Lifetime::Persistent, false));
                self.remove_segments(text, 0);
                self.edit(text, |old| old.replace(&self.dirs.host.boot, "another-boot"));
                self.forget(&name);
            }
            Kind::OtherBootAndHost => {
                drop(self.project(&name, Lifetime::Persistent, false));
                self.remove_segments(text, 0);
                let (boot, host) = (&self.dirs.host.boot, format!("host {}", self.dirs.host.name));
                self.edit(text, |old| {
                    old.replace(boot, "another-boot").replace(&host, "host other")
                });
                self.forget(&name);
            }
            Kind::OtherShm => {
                drop(self.project(&name, Lifetime::Persistent, false));
                self.remove_segments(text, 0);
                let shm = format!("shm {}", self.dirs.shm.id());
                self.edit(text, |old| old.replace(&shm, "shm 1:1"));
                self.forget(&name);
            }
            Kind::Broken => {
                drop(self.project(&name, Lifetime::Persistent, false));
                self.remove_segments(text, 1);
            }
            Kind::Corrupt => {
                drop(self.project(&name, Lifetime::Persistent, false));
                self.edit(text, |old| old + "\n[unfinished");
            }
            Kind::NamesAnother => {
                let path = self.sandbox.metadata(text);
                let other = "../x".to_owned();
                fs::write(path, self.text(None, &[other])).expect("to write");
            }
            Kind::Detached => {
                drop(self.project(&name, Lifetime::Persistent, false));
                fs::remove_file(self.sandbox.metadata(text)).expect("metadata");
            }
            Kind::Orphan | Kind::OrphanInUse => {
                for segment in self.segments(&name, &token, 2) {
                    if kind == Kind::OrphanInUse {
                        let file =
                            fs::File::open(self.sandbox.shm().join(segment)).expect("a segment");
                        self.alive.files.push(file);
                    }
                }
            }
            Kind::Python => {
                let segments = self.segments(&name, &token, 2);
                fs::write(self.sandbox.metadata(text), self.text(None, &segments))
                    .expect("to write");
            }
            Kind::PythonReplacedOurs => {
                drop(self.project(&name, Lifetime::Persistent, false));
                self.remove_segments(text, 0);
                let segments = self.segments(&name, &token, 2);
                self.edit(text, |_| self.text(None, &segments));
            }
        }
    }

    /// Removes ledger and lock file, as after a reboot or on another node.
    fn forget(&self, name: &ProjectName) {
        use cute_shm::internals::{Key, KeyFile};
        let root = self.dirs.root().expect("a root");
        let key = Key::new(name, root.id(), nix::unistd::Uid::effective().as_raw());
        for file in [KeyFile::Ledger, KeyFile::Lock] {
            self.dirs.shm.remove(&key.file(file)).expect("to remove");
        }
    }
}

/// The files of one project, with properties that detect a change.
fn files(sandbox: &Sandbox, name: &str) -> BTreeMap<String, Vec<u8>> {
    let all = sandbox.files().into_iter();
    let ours =
        all.filter(|file| file.trim_start_matches('.').starts_with(&format!("cute-shm.{name}.")));
    ours.map(|file| {
        let folder = if file.ends_with("toml") { sandbox.root() } else { sandbox.shm() };
        let bytes = fs::read(folder.join(&file)).expect("a file of ours");
        (file, bytes)
    })
    .collect()
}

fn trial(rng: &mut Rng, counts: &mut BTreeMap<&'static str, usize>) {
    let sandbox = Sandbox::new();
    let paths = Paths { root: sandbox.root().to_owned(), shm: sandbox.shm().to_owned() };
    let dirs = NodeDirs::create(&paths).expect("a place");
    let mut maker = Maker { sandbox: &sandbox, dirs: &dirs, alive: Alive::default() };
    let asked = Asked::random(rng);
    let made: Vec<_> = (0..=rng.below(12))
        .map(|number| {
            let (name, kind) = (format!("p{number}"), *rng.pick(&KINDS));
            maker.make(&name, kind);
            (name, kind)
        })
        .collect();
    let before: Vec<_> = made.iter().map(|(name, _)| files(&sandbox, name)).collect();
    let done = sandbox.run(asked.args());
    assert_eq!(done.code, 0, "{asked:?} {made:?}: {done:?}");
    for ((name, kind), before) in made.iter().zip(before) {
        let (fate, after) = (kind.fate(asked), files(&sandbox, name));
        let say = || {
            let (was, is) = (before.keys(), after.keys());
            let items = &done.out;
            format!("{name} {kind:?} {asked:?}: {fate:?}, but {was:?} became {is:?}: {items}")
        };
        match fate {
            Fate::Untouched => assert!(before == after, "{}", say()),
            Fate::Gone => assert!(after.is_empty(), "{}", say()),
            Fate::Repaired => {
                assert!(after.len() == before.len() + 1, "{}", say());
                assert_eq!(sandbox.whole(name), Some(0), "{}", say());
            }
            Fate::Cleared => {
                assert_eq!(sandbox.whole(name), Some(0), "{}", say());
                let named = sandbox.segments(name).expect("a project");
                let extra = |file: &&String| {
                    !named.contains(*file)
                        && SegmentName::parse(OsStr::new(file.as_str())).is_some()
                };
                assert_eq!(after.keys().find(extra), None, "{}", say());
            }
        }
        let word = match fate {
            Fate::Untouched => "kept",
            Fate::Gone => "removed",
            Fate::Cleared => "cleared",
            Fate::Repaired => "repaired",
        };
        *counts.entry(word).or_default() += 1;
    }
    // A second gc has nothing to do.
    let again = sandbox.run(asked.args()).expect(0).json();
    let items = again["items"].as_array().expect("items").clone();
    assert!(items.iter().all(|item| item["action"] == "skipped"), "{made:?} {items:?}");
}

#[test]
fn gc_removes_only_dead_projects_from_random_mixtures() {
    let mut rng = Rng::new("precision");
    let mut counts = BTreeMap::new();
    let trials = rounds("TRIALS", 250, 5000);
    for _ in 0..trials {
        trial(&mut rng, &mut counts);
    }
    figure(
        "`gc` with random options on random mixtures of 22 kinds of projects, alive and dead",
        format!("{trials} mixtures: {counts:?}"),
        "no false removal, everything dead removed, a second gc finds nothing",
    );
}
