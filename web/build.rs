//! Makes sure that the folder of built scripts exists, so that the crate compiles in a checkout
//! where the user interface was never built; its pages then work without scripts.

use std::path::Path;

fn main() -> std::io::Result<()> {
    let dist = Path::new(env!("CARGO_MANIFEST_DIR")).join("ui/dist");
    std::fs::create_dir_all(dist)?;
    println!("cargo:rerun-if-changed=ui/dist");
    println!("cargo:rerun-if-changed=messages");
    Ok(())
}
