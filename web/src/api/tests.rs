//! The API from outside, through the router.

mod accounts;
mod afterwards;
mod events;
mod growing;
mod reencode;
mod refusals;
mod session;
mod videos;
mod webhook;

use expect_test::expect_file;

#[test]
fn the_description_changes_only_on_purpose() {
    let (_, description) = super::parts();
    let text = description.to_pretty_json().unwrap() + "\n";
    expect_file!["tests/openapi.json"].assert_eq(&text);
}

#[test]
fn every_operation_has_a_name_of_its_own() {
    let (_, description) = super::parts();
    let text = serde_json::to_value(description).unwrap();
    let mut names: Vec<_> = text["paths"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|path| path.as_object().unwrap().values())
        .map(|operation| operation["operationId"].as_str().unwrap().to_owned())
        .collect();
    let all = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), all, "{names:?}");
}
