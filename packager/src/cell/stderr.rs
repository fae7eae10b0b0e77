use tokio::io::{AsyncRead, AsyncReadExt};

/// Bytes of a cell's standard error that are logged; the rest is read and dropped, so that a
/// talkative library neither fills the disk nor blocks.
const LOGGED: usize = 64 << 10;
/// Bytes at its end that are kept for the report of a crash.
const KEPT: usize = 1 << 10;

/// Reads until the end, logs line by line, and gives what was said last.
pub(super) async fn read(mut stderr: impl AsyncRead + Unpin) -> String {
    let mut buffer = vec![0; 4 << 10];
    let mut line = Vec::new();
    let mut tail = Vec::new();
    let mut logged = 0;
    while let Ok(count @ 1..) = stderr.read(&mut buffer).await {
        let bytes = &buffer[..count];
        tail.extend_from_slice(bytes);
        tail.drain(..tail.len().saturating_sub(KEPT));
        let room = LOGGED - logged;
        logged += bytes.len().min(room);
        for byte in &bytes[..bytes.len().min(room)] {
            if *byte == b'\n' {
                log(&line);
                line.clear();
            } else {
                line.push(*byte);
            }
        }
    }
    if !line.is_empty() {
        log(&line);
    }
    printable(&tail)
}

fn log(line: &[u8]) {
    tracing::debug!("cell: {}", printable(line));
}

/// The text with whatever could move a terminal's cursor or begin a new line made visible: some
/// of it was read in a stranger's file.
fn printable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end().escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_end_of_a_flood_is_kept() {
        let flood = [vec![b'x'; 3 * LOGGED], b"\x1b[2J last words\n".to_vec()].concat();
        let tail = read(&flood[..]).await;
        assert!(tail.ends_with("x\\u{1b}[2J last words") && tail.len() < KEPT + 16, "{tail}");
    }
}
