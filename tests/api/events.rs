//! Log events: a logger receives one for every segment.

use std::sync::Mutex;

use cute_shm::Tree;
use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::Scene;

/// Records the events of the project `logged`, whose name no other test uses.
struct Recorder(Mutex<Vec<(Level, String)>>);

impl Log for Recorder {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "cute_shm"
    }

    fn log(&self, record: &Record<'_>) {
        let text = record.args().to_string();
        if self.enabled(record.metadata()) && text.contains("logged") {
            self.0.lock().unwrap().push((record.level(), text));
        }
    }

    fn flush(&self) {}
}

static RECORDER: Recorder = Recorder(Mutex::new(Vec::new()));

#[test]
fn created_attached_and_removed_segments_are_logged() {
    log::set_logger(&RECORDER).unwrap();
    log::set_max_level(LevelFilter::Trace);
    let scene = Scene::new();
    let mut tree = Tree::new();
    tree.array("a", &[1_i32, 2]).unwrap();
    tree.array("b", &[1.5_f64]).unwrap();
    let guard = scene.node.share("logged").hold(&tree).unwrap();
    let project = guard.open().unwrap();
    let names: Vec<_> = project.arrays().iter().map(|array| array.segment().to_owned()).collect();
    guard.remove().unwrap();
    log::set_max_level(LevelFilter::Off);
    let events = RECORDER.0.lock().unwrap();
    let count = |level, verb: &str, name: &str| {
        let begin = format!("{verb} segment {name}");
        events.iter().filter(|(at, text)| *at == level && text.starts_with(&begin)).count()
    };
    for name in &names {
        assert_eq!(count(Level::Debug, "created", name), 1, "{events:?}");
        assert_eq!(count(Level::Trace, "attached", name), 1, "{events:?}");
        assert_eq!(count(Level::Debug, "removed", name), 1, "{events:?}");
    }
    assert!(events.contains(&(Level::Debug, "attached project 'logged': 2 segments".to_owned())));
}
