//! Sockets that systemd opened for us, so that clients wait in the kernel while the process starts
//! anew, and so that it needs no right to ports below 1024.

use std::fmt::Display;
use std::net::TcpListener;

use anyhow::{Context, bail};

/// One for each port that was opened, by its name (`FileDescriptorName=`).
#[derive(Debug)]
pub(crate) struct Activation<S = TcpListener> {
    pub(crate) http: Option<S>,
    pub(crate) https: Option<S>,
    pub(crate) admin: Option<S>,
    pub(crate) rtmp: Option<S>,
    pub(crate) rtmps: Option<S>,
}

impl Activation {
    /// What this process was given; to be asked once, as it takes the sockets over.
    pub(crate) fn of_this_process() -> anyhow::Result<Self> {
        let given = sd_listen_fds::get().context("read `LISTEN_FDS`")?;
        Self::sorted(given.into_iter().map(|(name, socket)| (name, socket.into())))
    }
}

impl<S> Activation<S> {
    /// A socket without a name of ours is the plain port, if it is the only one.
    fn sorted(given: impl ExactSizeIterator<Item = (Option<String>, S)>) -> anyhow::Result<Self> {
        let is_only = given.len() == 1;
        let mut sorted = Self { http: None, https: None, admin: None, rtmp: None, rtmps: None };
        for (name, socket) in given {
            let place = match name.as_deref() {
                Some("http") => &mut sorted.http,
                Some("https") => &mut sorted.https,
                Some("admin") => &mut sorted.admin,
                Some("rtmp") => &mut sorted.rtmp,
                Some("rtmps") => &mut sorted.rtmps,
                _ if is_only => &mut sorted.http,
                name => {
                    bail!("systemd opened {}: the names are http, https, admin, rtmp and rtmps", quoted(name))
                }
            };
            if place.replace(socket).is_some() {
                bail!("systemd opened {} twice", quoted(name.as_deref()));
            }
        }
        Ok(sorted)
    }
}

fn quoted(name: Option<&str>) -> impl Display {
    name.map_or_else(|| "a socket without a name".to_owned(), |name| format!("a socket `{name}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_told_apart_by_their_names() {
        let sorted = |names: &[&str]| {
            let given = names
                .iter()
                .enumerate()
                .map(|(at, name)| ((!name.is_empty()).then(|| (*name).to_owned()), at));
            Activation::sorted(given.collect::<Vec<_>>().into_iter())
                .map(|Activation { http, https, admin, rtmp, .. }| (http, https, admin, rtmp))
                .map_err(|error| error.to_string())
        };
        assert_eq!(sorted(&[]), Ok((None, None, None, None)));
        assert_eq!(sorted(&[""]), Ok((Some(0), None, None, None)));
        // What systemd says of a socket unit without `FileDescriptorName=`.
        assert_eq!(sorted(&["cocuyo.socket"]), Ok((Some(0), None, None, None)));
        assert_eq!(sorted(&["admin"]), Ok((None, None, Some(0), None)));
        assert_eq!(sorted(&["https", "admin", "rtmp", "http"]), Ok((Some(3), Some(0), Some(1), Some(2))));
        assert!(sorted(&["http", "http"]).unwrap_err().contains("`http` twice"));
        assert!(sorted(&["http", "web"]).unwrap_err().contains("`web`"));
        assert!(sorted(&["http", ""]).unwrap_err().contains("without a name"));
    }
}
