//! Log events: who sets a logger hears of every segment.

use std::sync::Mutex;

use cute_shm::Tree;
use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::Scene;

/// Events of the project `logged`, which no other test has.
struct Heard(Mutex<Vec<(Level, String)>>);

impl Log for Heard {
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

static HEARD: Heard = Heard(Mutex::new(Vec::new()));

#[test]
fn created_attached_and_removed_segments_are_logged() {
    log::set_logger(&HEARD).unwrap();
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
    let heard = HEARD.0.lock().unwrap();
    let tells = |level, verb: &str, name: &str| {
        let begin = format!("{verb} segment {name}");
        heard.iter().filter(|(at, text)| *at == level && text.starts_with(&begin)).count()
    };
    for name in &names {
        assert_eq!(tells(Level::Debug, "created", name), 1, "{heard:?}");
        assert_eq!(tells(Level::Trace, "attached", name), 1, "{heard:?}");
        assert_eq!(tells(Level::Debug, "removed", name), 1, "{heard:?}");
    }
    assert!(heard.contains(&(Level::Debug, "attached project 'logged': 2 segments".to_owned())));
}
