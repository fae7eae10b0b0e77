use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;

use crate::{project_file, until};

/// Chromium, driven by a script of `tests/browser` that takes a command a line and answers each with a
/// line, both JSON.
#[derive(Debug)]
pub struct Browser {
    driver: Child,
    input: ChildStdin,
    answers: Receiver<Value>,
}

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

impl Browser {
    /// Starts a browser with this script.
    pub fn start(script: &str, arguments: &[&str]) -> Self {
        let mut driver = Command::new("node");
        driver.arg(project_file(&format!("tests/browser/{script}"))).args(arguments);
        let mut driver = driver.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("start node");
        let input = driver.stdin.take().expect("it is piped");
        let output = driver.stdout.take().expect("it is piped");
        let (sender, answers) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let answer = serde_json::from_str(&line).unwrap_or(Value::String(line));
                let _ = sender.send(answer);
            }
        });
        Self { driver, input, answers }
    }

    /// Gives a command; the answer to it.
    pub fn ask(&self, command: &Value) -> Value {
        writeln!(&self.input, "{command}").expect("the script listens");
        let answer = tokio::task::block_in_place(|| self.answers.recv_timeout(PATIENCE));
        answer.unwrap_or_else(|error| panic!("no answer to {command}: {error}"))
    }

    /// Gives a command again and again until its answer is as it must be; that answer.
    pub async fn until(&self, what: &str, command: &Value, is_there: impl Fn(&Value) -> bool) -> Value {
        until(what, PATIENCE, async || {
            let answer = self.ask(command);
            if is_there(&answer) { Ok(answer) } else { Err(answer) }
        })
        .await
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The browser hangs on a pipe of its driver's, and ends with it.
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
