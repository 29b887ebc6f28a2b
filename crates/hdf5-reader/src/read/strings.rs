//! Variable-length strings: the length of the fixed strings that hold them.

use crate::error::{ObjectResult, unsupported};
use crate::ffi::elements::Elements;
use crate::types::field_layout::{Content, Field, FieldLayout};
use crate::types::fields;

/// Padding that is always accepted, in bytes of the whole array.
const SMALL: u64 = 64 << 20;

/// Beyond it, the array may take this many times the bytes of the strings.
const WASTE: u64 = 16;

/// The most strings that are read to find the longest.
const MOST: u64 = 1 << 32;

/// The lengths of the strings of one field.
#[derive(Debug, Clone, Copy, Default)]
struct Measure {
    longest: u64,
    total: u64,
}

/// Receives the given number of elements.
pub(crate) type Visit<'a> = dyn FnMut(u64, Elements<'_>) -> ObjectResult<()> + 'a;

/// Passes all elements to a visitor.
pub(crate) type Each<'a> = dyn FnMut(&mut Visit<'_>) -> ObjectResult<()> + 'a;

/// Reads all strings of a dataset once and sets the length of each field, at least 1. Fields that would be mostly
/// padding are removed from the form; returns their paths below the dataset, and the reasons.
pub(crate) fn measure(
    form: &mut FieldLayout,
    elements: u64,
    each: Option<&mut Each<'_>>,
    written: bool,
    seen: &mut dyn FnMut(),
) -> ObjectResult<Vec<(String, String)>> {
    let texts: Vec<Field> = texts(form).into_iter().cloned().collect();
    let mut measures = vec![Measure::default(); texts.len()];
    if elements > MOST && written && !texts.is_empty() {
        return unsupported(format!("{elements} variable-length strings"));
    }
    if let Some(each) = each.filter(|_| elements > 0 && !texts.is_empty()) {
        each(&mut |count, elements| {
            for (leaf, measure) in texts.iter().zip(&mut measures) {
                scan(leaf, count, elements, measure);
            }
            seen();
            Ok(())
        })?;
    }
    if !written {
        for measure in &mut measures {
            measure.total = measure.total.saturating_mul(elements);
        }
    }
    let mut dropped = Vec::new();
    apply(form, "", &mut measures.into_iter(), &mut dropped);
    Ok(dropped)
}

fn texts(form: &FieldLayout) -> Vec<&Field> {
    form.fields().into_iter().filter(|leaf| leaf.content == Content::Text).collect()
}

fn scan(leaf: &Field, count: u64, elements: Elements<'_>, measure: &mut Measure) {
    let Ok(count) = usize::try_from(count) else { return };
    let Some(size) = elements.len().checked_div(count).filter(|&size| size > 0) else { return };
    for element in elements.bytes().chunks_exact(size) {
        for number in 0..leaf.per_element() {
            let Some(value) = fields::value(leaf, number, element) else { return };
            let length = elements.value(value).unwrap_or_default().len() as u64;
            measure.longest = measure.longest.max(length);
            measure.total = measure.total.saturating_add(length);
        }
    }
}

/// Sets the lengths in the order of the fields. Returns whether `form` still has a field.
fn apply(
    form: &mut FieldLayout,
    path: &str,
    measures: &mut impl Iterator<Item = Measure>,
    dropped: &mut Vec<(String, String)>,
) -> bool {
    match form {
        FieldLayout::Array(leaf) if leaf.content == Content::Text => {
            let measure = measures.next().unwrap_or_default();
            let result = set(leaf, measure);
            let kept = result.is_ok();
            dropped.extend(result.err().map(|why| (path.to_owned(), why.into_reason())));
            kept
        }
        FieldLayout::Array(_) => true,
        FieldLayout::Table(fields) => {
            fields.retain(|name, field| apply(field, &format!("{path}/{name}"), measures, dropped));
            !fields.is_empty()
        }
    }
}

fn set(leaf: &mut Field, measure: Measure) -> ObjectResult<()> {
    leaf.set_length(measure.longest.max(1))?;
    if leaf.nbytes() > SMALL && leaf.nbytes() > measure.total.saturating_mul(WASTE) {
        let (bytes, longest) = (leaf.nbytes(), measure.longest);
        return unsupported(format!(
            "variable-length strings that would be mostly padding: the longest has {longest} bytes, \
             all have {}, the array would have {bytes}",
            measure.total
        ));
    }
    Ok(())
}
