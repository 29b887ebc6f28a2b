//! Prints the tree of a project, with the sum of each numeric array, like `demo_read`.
//!
//!     cargo run --example read -- PROJECT

use cute_shm::{Array, Element, Node, Result};

fn main() -> Result<()> {
    let name = std::env::args().nth(1).unwrap_or_else(|| "demo".to_owned());
    let project = Node::from_env().open(&name)?;
    for array in project.arrays() {
        let (path, dtype, shape) = (array.path(), array.dtype(), array.shape());
        println!("{path}\t{dtype}\t{shape:?}\t{}\t{}", sum(&array)?, array.attrs());
    }
    Ok(())
}

fn sum(array: &Array<'_>) -> Result<String> {
    Ok(match array.dtype().trim_start_matches(['<', '>']) {
        "float64" | "f8" => add::<f64>(array)?,
        "float32" | "f4" => add::<f32>(array)?,
        "int64" | "i8" => array.to_vec::<i64>()?.iter().sum::<i64>().to_string(),
        "int32" | "i4" => add::<i32>(array)?,
        "uint8" => add::<u8>(array)?,
        "bool" => array.to_vec::<bool>()?.iter().filter(|value| **value).count().to_string(),
        _ => "-".to_owned(),
    })
}

fn add<T: Element + Into<f64>>(array: &Array<'_>) -> Result<String> {
    Ok(array.to_vec::<T>()?.into_iter().map(Into::into).sum::<f64>().to_string())
}
