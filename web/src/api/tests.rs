//! The API from outside, through the router.

mod accounts;
mod refusals;
mod session;
mod videos;

use expect_test::expect_file;

#[test]
fn the_description_changes_only_on_purpose() {
    let (_, description) = super::resources().split_for_parts();
    let text = description.to_pretty_json().unwrap() + "\n";
    expect_file!["tests/openapi.json"].assert_eq(&text);
}
