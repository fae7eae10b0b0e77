//! The files in `docker/` name only what exists; no engine is needed to see that.

use std::collections::BTreeSet;

use tests::{program, project_file, run};

fn read(relative: &str) -> String {
    std::fs::read_to_string(project_file(relative)).unwrap_or_else(|e| panic!("read {relative}: {e}"))
}

#[test]
fn the_dockerfile_copies_only_what_exists() {
    let dockerfile = read("docker/Dockerfile");
    let stages: BTreeSet<&str> = dockerfile
        .lines()
        .filter_map(|l| l.strip_prefix("FROM ")?.split_once(" AS "))
        .map(|(_, name)| name)
        .collect();
    for line in dockerfile.lines().filter_map(|line| line.strip_prefix("COPY ")) {
        let (from, paths) = match line.strip_prefix("--from=") {
            Some(rest) => rest.split_once(' ').expect("a source"),
            None => ("", line),
        };
        if !from.is_empty() {
            assert!(stages.contains(from), "stage `{from}` of `{line}`");
            continue;
        }
        let mut sources: Vec<&str> = paths.split_whitespace().collect();
        sources.pop();
        for source in sources {
            assert!(project_file(source).exists(), "`{source}` of `{line}`");
        }
    }
    // The programs that the image holds are the ones that the workspace builds.
    for name in ["cocuyo", "cocuyo-transcoder"] {
        assert!(dockerfile.contains(&format!("target/release/{name}")));
        assert!(program(name).exists());
    }
    // What is installed to build is what `make run` installs.
    let install = read("scripts/install");
    for package in
        dockerfile.split_whitespace().filter(|word| word.starts_with("lib") && word.ends_with("-dev"))
    {
        assert!(install.contains(package), "{package} is not in scripts/install");
    }
}

#[test]
fn the_compose_file_names_only_what_exists() {
    let compose = read("docker/compose.yml");
    for path in compose.split(['"', ' ', ':', '\n']).filter(|word| word.starts_with("./")) {
        assert!(project_file(&format!("docker/{path}")).exists(), "{path}");
    }
    let example = read("docker/env.example");
    for variable in compose.split("${").skip(1).map(|rest| rest.split([':', '}']).next().unwrap_or_default())
    {
        assert!(
            example.lines().any(|line| line.starts_with(&format!("{variable}="))),
            "{variable} is not in env.example"
        );
    }
    // Every COCUYO_ variable is one that the program reads.
    let program_reads = read("server/src/config.rs");
    for name in compose
        .split_whitespace()
        .filter_map(|word| word.strip_suffix(':'))
        .filter(|w| w.starts_with("COCUYO_"))
    {
        assert!(program_reads.contains(&format!("\"{name}\"")), "{name} is read by nobody");
    }
    let parsed = run(
        "python3",
        &[
            "-c",
            "import sys; text = open(sys.argv[1]).read(); assert '\\t' not in text; print(len(text))",
            &project_file("docker/compose.yml").to_string_lossy(),
        ],
    );
    parsed.ok();
}

#[test]
fn the_shipped_configurations_are_good() {
    for file in ["docker/cocuyo.toml", "docker/cocuyo.compose.toml"] {
        run(program("cocuyo"), &["check-config", "--config", &project_file(file).to_string_lossy()]).ok();
    }
}
