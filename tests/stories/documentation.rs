//! What the documents list is what the sources have.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tests::project_file;

/// All Rust sources of the product, without those that only tests read.
fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders: Vec<_> =
        ["lib", "edge", "ingest", "packager", "subscriptions", "web", "server"].map(project_file).into();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
            let path = entry.expect("a folder's entry").path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            match path.is_dir() {
                true if !["tests", "testing", "node_modules", "target", "ui"].contains(&name) => {
                    folders.push(path);
                }
                false if name.ends_with(".rs") && !["tests.rs", "testing.rs"].contains(&name) => {
                    found.push(path);
                }
                _ => {}
            }
        }
    }
    found
}

fn is_code(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

/// The words of the problems that a source names: `.named("…"`, and the list of the plain ones.
fn codes_in(file: &Path) -> BTreeSet<String> {
    let text = std::fs::read_to_string(file).expect("read a source");
    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
    let named = text.split(".named(").skip(1).filter_map(|rest| rest.trim_start().strip_prefix('"'));
    let named = named.filter_map(|rest| rest.split('"').next());
    let plain = text.split_once("const fn plain(kind: ErrorKind)").map_or("", |(_, plain)| plain);
    let plain = plain.split('"').skip(1).step_by(2);
    named.chain(plain).filter(|word| is_code(word)).map(str::to_owned).collect()
}

#[test]
fn the_table_of_problem_codes_is_whole() {
    let page = std::fs::read_to_string(project_file("docs/reference/api.md")).expect("read the page");
    let table = page.split("| status | codes |").nth(1).and_then(|rest| rest.split("\n\n").next());
    let told: BTreeSet<String> = table
        .expect("a table of codes")
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|word| is_code(word))
        .map(str::to_owned)
        .collect();
    let made: BTreeSet<String> = sources().iter().flat_map(|file| codes_in(file)).collect();
    assert!(made.len() > 30, "{made:?}");
    assert_eq!(made.difference(&told).collect::<Vec<_>>(), Vec::<&String>::new(), "not in the table");
    assert_eq!(told.difference(&made).collect::<Vec<_>>(), Vec::<&String>::new(), "nobody says that");
}
