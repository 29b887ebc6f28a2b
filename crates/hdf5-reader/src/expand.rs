//! Turns the graph of groups into the tree of all paths. Groups that several links lead to are repeated
//! under each path, so that a file of a few kilobytes can have billions of paths: they are counted
//! first.

use std::collections::HashSet;

use crate::attributes::Attributes;
use crate::budget::Budget;
use crate::error::{ObjectError, ObjectResult, Result};
use crate::inventory::{Child, Group};
use crate::walk::{self, Known, MAX_DEPTH, Target, Walk};

/// The number of links that are followed before the next one is reported.
const SEEN_EVERY: u64 = 1 << 16;

/// A group on the way, and the number of its link that is next.
struct Step {
    node: usize,
    next: usize,
    bytes: u64,
}

/// The same, with the tree below it.
struct Branch {
    step: Step,
    name: String,
    path: String,
    group: Group,
}

/// Where the expansion is.
#[derive(Default)]
struct Tree {
    /// Groups on the way, to which no link may lead back.
    open: Vec<bool>,
    /// Links that were noted, by group and number.
    noted: HashSet<(usize, usize)>,
    /// Datasets that some path leads to.
    planned: HashSet<usize>,
}

impl Walk<'_> {
    /// Counts all paths, without building them.
    pub(crate) fn count_paths(&self) -> Result<()> {
        let mut budget = Budget::default();
        let weights: Vec<u64> = self.inventory.group_attrs.iter().map(weight).collect();
        let datasets: Vec<[u64; 2]> = self.datasets.iter().map(|known| self.size(known)).collect();
        let mut open = vec![false; self.groups.len()];
        let mut way = vec![Step { node: 0, next: 0, bytes: 0 }];
        open[0] = true;
        while let Some(step) = way.last_mut() {
            let Some((name, target)) = self.groups[step.node].links.get(step.next) else {
                open[step.node] = false;
                way.pop();
                continue;
            };
            step.next += 1;
            let bytes = step.bytes + name.len() as u64 + 1;
            match *target {
                Target::Nowhere(_) => budget.add(1, bytes)?,
                Target::Dataset(number) => {
                    let [arrays, weight] = datasets[number];
                    budget.add(arrays, bytes.saturating_mul(arrays).saturating_add(weight))?;
                }
                Target::Group(node) => {
                    budget.add(1, bytes.saturating_add(weights[node]))?;
                    if !open[node] && way.len() < MAX_DEPTH {
                        open[node] = true;
                        way.push(Step { node, next: 0, bytes });
                    }
                }
            }
        }
        Ok(())
    }

    /// The number of arrays and tables of a dataset, and the bytes of its attributes and fields.
    fn size(&self, known: &Known) -> [u64; 2] {
        match known {
            Known::Planned(index) => {
                let dataset = &self.inventory.datasets[*index];
                let (arrays, bytes) = dataset.form.extent();
                [arrays, bytes.saturating_add(weight(&dataset.attrs))]
            }
            _ => [1, 0],
        }
    }

    /// Builds the tree of all paths, and notes why paths are missing. Plans datasets that are selected only
    /// under another path than their first.
    pub(crate) fn expand(&mut self) -> Result<Group> {
        let mut tree = Tree { open: vec![false; self.groups.len()], ..Tree::default() };
        let mut way: Vec<Branch> = Vec::new();
        let mut here = Branch::new(0, String::new(), String::new());
        tree.open[0] = true;
        for step in 1_u64.. {
            let (node, next) = (here.step.node, here.step.next);
            if step % SEEN_EVERY == 0 {
                (self.options.seen)(&here.path);
            }
            let Some((name, target)) = self.groups[node].links.get(next) else {
                tree.open[node] = false;
                let Some(above) = way.pop() else { break };
                let Branch { name, group, .. } = std::mem::replace(&mut here, above);
                here.group.children.insert(name, Child::Group(group));
                continue;
            };
            let (name, target) = (name.clone(), *target);
            let path = format!("{}/{name}", here.path);
            here.step.next += 1;
            let found = match target {
                Target::Dataset(number) => self.selected(&mut tree, number, &name, &path, node)?,
                Target::Group(below) => match tree.open[below] {
                    true => {
                        Err(ObjectError::Unsupported("link back to an ancestor group".to_owned()))
                    }
                    false if way.len() + 1 >= MAX_DEPTH => Err(walk::too_deep()),
                    false => {
                        tree.open[below] = true;
                        way.push(std::mem::replace(&mut here, Branch::new(below, name, path)));
                        continue;
                    }
                },
                Target::Nowhere(trouble) => Err(self.troubles[trouble].clone()),
            };
            match found {
                Ok(Some(index)) => drop(here.group.children.insert(name, Child::Dataset(index))),
                // Once for each link, not for each path that leads to its group.
                Err(trouble) if tree.noted.insert((node, next)) => {
                    self.note(&path, self.groups[node].file(), trouble)?;
                }
                Ok(None) | Err(_) => {}
            }
        }
        Ok(here.group)
    }

    /// The index of dataset `number`; `None` if it is not selected under `path`.
    fn selected(
        &mut self,
        tree: &mut Tree,
        number: usize,
        name: &str,
        path: &str,
        node: usize,
    ) -> Result<ObjectResult<Option<usize>>> {
        if !(self.options.select)(path) {
            return Ok(Ok(None));
        }
        if walk::is_misleading(name, node) {
            return Ok(Err(walk::reserved()));
        }
        if let Known::Unwanted(place) = &self.datasets[number] {
            self.datasets[number] = self.plan_unwanted(place.clone(), path)?;
        }
        Ok(match &self.datasets[number] {
            Known::Planned(index) => {
                if tree.planned.insert(*index) {
                    let fields = self.inventory.datasets[*index].skipped_fields.iter().cloned();
                    self.inventory.skips.extend(fields);
                }
                Ok(Some(*index))
            }
            Known::Failed(trouble) => Err(self.troubles[*trouble].clone()),
            Known::Unwanted(_) => Ok(None),
        })
    }
}

impl Branch {
    fn new(node: usize, name: String, path: String) -> Self {
        let group = Group { attrs: node, ..Group::default() };
        Self { step: Step { node, next: 0, bytes: 0 }, name, path, group }
    }
}

/// The size of the attributes that each path of an object repeats.
fn weight(attributes: &Attributes) -> u64 {
    let values = attributes.values.iter().map(|(name, value)| name.len() as u64 + bytes(value));
    let left_out = attributes.left_out.iter().map(|(name, reason)| name.len() + reason.len());
    values.chain(left_out.map(|bytes| bytes as u64)).fold(0, u64::saturating_add)
}

fn bytes(value: &toml::Value) -> u64 {
    match value {
        toml::Value::String(text) => text.len() as u64,
        toml::Value::Array(items) => items.iter().map(bytes).fold(0, u64::saturating_add),
        toml::Value::Table(table) => table.values().map(bytes).fold(0, u64::saturating_add),
        _ => 8,
    }
}
