//! A whole text as tables: the ledger.

use std::borrow::Cow;

use toml::{Table, Value};

use crate::shm::format::fast_toml::reader::{Header, Reader};

/// Reads a text in the canonical form.
pub(crate) fn table(text: &str) -> Option<Table> {
    let (mut reader, mut path) = (Reader::new(text), Vec::new());
    let mut root = Table::new();
    reader.pairs(&mut root)?;
    while let Some(header) = reader.header(&mut path)? {
        let mut inner = Table::new();
        reader.pairs(&mut inner)?;
        let (last, above) = path.split_last()?;
        let above = below(&mut root, above)?;
        match (header, above.get_mut(&**last)) {
            (_, None) => {
                let inner = Value::Table(inner);
                let value = match header {
                    Header::Table => inner,
                    Header::Element => Value::Array(vec![inner]),
                };
                above.insert(last.to_string(), value);
            }
            // An array that holds a table was made by such a header: those of values hold none here.
            (Header::Element, Some(Value::Array(there)))
                if there.last().is_some_and(Value::is_table) =>
            {
                there.push(Value::Table(inner));
            }
            _ => return None,
        }
    }
    (!reader.more()?).then_some(root)
}

/// The table at `path`, made where it is not there; of an array of tables the last.
fn below<'r>(mut table: &'r mut Table, path: &[Cow<'_, str>]) -> Option<&'r mut Table> {
    for name in path {
        if !table.contains_key(&**name) {
            table.insert(name.to_string(), Value::Table(Table::new()));
        }
        table = match table.get_mut(&**name)? {
            Value::Table(inner) => inner,
            Value::Array(there) => there.last_mut()?.as_table_mut()?,
            _ => return None,
        };
    }
    Some(table)
}
