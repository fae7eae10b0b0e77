//! The files in `docker/` name only what exists; no engine is needed to see that.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde::de::IgnoredAny;
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
}

#[test]
fn the_services_fit_together() {
    let compose: Compose = serde_saphyr::from_str(&read("docker/compose.yml")).expect("compose.yml is YAML");
    let configuration = read("docker/cocuyo.compose.toml");
    let services: BTreeSet<&str> = compose.services.keys().map(String::as_str).collect();

    // Whoever is waited for exists, and says when it is well if that is waited for.
    for (name, service) in &compose.services {
        for (other, awaited) in &service.depends_on {
            let awaits = format!("{name} waits for {other}");
            let other = compose.services.get(other).unwrap_or_else(|| panic!("{awaits}, which is nowhere"));
            let has_check = other.healthcheck.as_ref().is_some_and(|check| !check.test.is_empty());
            assert!(awaited.condition != "service_healthy" || has_check, "{awaits}, which tells nobody");
        }
        let named = service.volumes.iter().filter_map(|volume| volume.split_once(':'));
        for (volume, _) in named.filter(|(source, _)| !source.starts_with(['.', '/'])) {
            assert!(compose.volumes.contains_key(volume), "volume {volume} of {name}");
        }
        for config in &service.configs {
            assert!(compose.configs.contains_key(&config.source), "config {} of {name}", config.source);
        }
    }
    let used: BTreeSet<&str> = compose
        .services
        .values()
        .flat_map(|service| &service.volumes)
        .filter_map(|volume| Some(volume.split_once(':')?.0))
        .collect();
    for volume in compose.volumes.keys() {
        assert!(used.contains(volume.as_str()), "nobody uses volume {volume}");
    }

    // What is in a URL is a service.
    let cocuyo = &compose.services["cocuyo"];
    let endpoint = line_value(&configuration, "endpoint").expect("an endpoint");
    for url in cocuyo.environment.values().chain([&endpoint]).filter(|value| value.contains("://")) {
        let host = host_of(url);
        let name = host.split(':').next().unwrap_or_default();
        assert!(services.contains(name) && cocuyo.depends_on.contains_key(name), "{name} in {url}");
    }

    // Each port is the same wherever it is named; SeaweedFS answers S3 on 8333 unless it is told otherwise.
    assert_eq!(host_of(&endpoint), "objects:8333");
    let objects = &compose.services["objects"];
    assert!(objects.command.iter().any(|word| word == "-s3"));
    assert!(!objects.command.iter().any(|word| word.starts_with("-s3.port")), "{:?}", objects.command);
    assert_eq!(line_value(&configuration, "listen").as_deref(), Some("0.0.0.0:8080"));
    assert_eq!(line_value(&configuration, "rtmp").as_deref(), Some("0.0.0.0:1935"));
    assert_eq!(cocuyo.ports, ["8080:8080", "1935:1935"], "nothing but the product's doors is published");
    let exposed: Vec<String> = read("docker/Dockerfile")
        .lines()
        .filter_map(|line| line.strip_prefix("EXPOSE "))
        .map(str::to_owned)
        .collect();
    assert_eq!(exposed, ["8080", "1935"]);
    let inner = compose.services.iter().filter(|(name, _)| *name != "cocuyo");
    for (name, service) in inner {
        assert!(service.ports.is_empty(), "{name} is nobody else's to reach");
    }

    // The configuration is where the program is told to look for it, and its data are in a volume.
    let mounted: Vec<&str> = cocuyo.volumes.iter().filter_map(|volume| volume.split(':').nth(1)).collect();
    let data = line_value(&configuration, "data").expect("a data folder");
    assert!(mounted.contains(&data.as_str()), "{data} in {mounted:?}");
    let dockerfile = read("docker/Dockerfile");
    let config = mounted.iter().find(|path| path.ends_with(".toml")).expect("a configuration");
    assert!(dockerfile.contains(config), "{config} is not what the image starts with");
}

/// The part of a compose file that one machine's wrong word breaks.
#[derive(Debug, Deserialize)]
struct Compose {
    services: BTreeMap<String, Service>,
    volumes: BTreeMap<String, Option<IgnoredAny>>,
    configs: BTreeMap<String, IgnoredAny>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Service {
    depends_on: BTreeMap<String, Awaited>,
    ports: Vec<String>,
    environment: BTreeMap<String, String>,
    volumes: Vec<String>,
    configs: Vec<Mounted>,
    command: Vec<String>,
    healthcheck: Option<Healthcheck>,
}

#[derive(Debug, Deserialize)]
struct Awaited {
    condition: String,
}

#[derive(Debug, Deserialize)]
struct Mounted {
    source: String,
}

#[derive(Debug, Deserialize)]
struct Healthcheck {
    test: Vec<String>,
}

/// Host and port of a URL, whatever stands for the password.
fn host_of(url: &str) -> &str {
    let (_, rest) = url.split_once("://").expect("a URL");
    let rest = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    rest.split('/').next().expect("a split has a first part")
}

/// The text that the first line `key = "…"` of a TOML file gives.
fn line_value(toml: &str, key: &str) -> Option<String> {
    let line = toml.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "))?;
    Some(line.trim_matches('"').to_owned())
}

#[test]
fn the_shipped_configurations_are_good() {
    for file in ["docker/cocuyo.toml", "docker/cocuyo.compose.toml"] {
        run(program("cocuyo"), &["check-config", "--config", &project_file(file).to_string_lossy()]).ok();
    }
}
