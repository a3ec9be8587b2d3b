//! Finds the process that holds the listening socket behind the health URL, as far as that can be seen.
//!
//! The kernel shows listening sockets to every user (`/proc/net`, proc(5)), but the processes that hold them
//! only to their own user. If no visible process holds the socket (nginx, another user's app, a socket
//! that systemd alone holds), nothing is concluded.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::path::Path;

use super::url::Target;

/// A process outside of the app's units that answers at the health URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ForeignHolder {
    /// The process id.
    pub pid: u32,
    /// The process's command line.
    pub command: String,
}

/// Finds the process of pp-fetcher's user that holds the socket behind `target` and is not in `own`; `None`
/// if a process in `own` holds the socket too, or if no visible process does.
#[must_use]
pub(crate) fn stranger(target: &Target, own: &BTreeSet<u32>) -> Option<ForeignHolder> {
    let sockets = match target {
        Target::Tcp(authority) => tcp(authority),
        Target::Unix(path) => unix(&read("/proc/net/unix"), path),
    };
    if sockets.is_empty() {
        return None;
    }
    let wanted: BTreeSet<String> = sockets.iter().map(|n| format!("socket:[{n}]")).collect();
    let mut stranger = None;
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = process.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // The descriptors of another user's process cannot be read: such a process is skipped.
        let files = fs::read_dir(process.path().join("fd"))
            .into_iter()
            .flatten();
        let mut links = files
            .flatten()
            .filter_map(|file| fs::read_link(file.path()).ok());
        if !links.any(|link| link.to_str().is_some_and(|link| wanted.contains(link))) {
            continue;
        }
        if own.contains(&pid) {
            return None;
        }
        stranger.get_or_insert(pid);
    }
    let pid = stranger?;
    Some(ForeignHolder {
        pid,
        command: command(pid),
    })
}

fn command(pid: u32) -> String {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words: Vec<_> = line
        .split(|b| *b == 0)
        .filter(|word| !word.is_empty())
        .collect();
    crate::util::text::line(&words.join(&b' '))
        .chars()
        .take(100)
        .collect()
}

fn read(path: &str) -> String {
    fs::read(path)
        .map(|text| String::from_utf8_lossy(&text).into_owned())
        .unwrap_or_default()
}

/// The tables of the kernel with a row for each TCP socket.
const TABLES: [&str; 2] = ["/proc/net/tcp", "/proc/net/tcp6"];

/// Which rows of a table are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rows {
    /// Those before the first socket that does not listen: the kernel prints what listens first, and takes a while for
    /// all connections of a busy host.
    First,
    All,
}

/// Gives the inodes of the listening sockets that a connection to `authority` may reach.
fn tcp(authority: &str) -> Vec<u64> {
    let addresses: Vec<_> = authority.to_socket_addrs().into_iter().flatten().collect();
    let listening = |rows| {
        let tables = TABLES.iter().filter_map(|table| File::open(table).ok());
        // The kernel prints a page at a time.
        let tables = tables.map(|table| BufReader::with_capacity(4096, table));
        let found = tables.flat_map(|table| listeners(table, rows));
        found.collect::<Vec<_>>()
    };
    let listening = match listening(Rows::First) {
        none if none.is_empty() => listening(Rows::All),
        found => found,
    };
    reached(&addresses, &listening)
}

/// Gives the inodes of those of the sockets `listening` that a connection to the addresses may reach: the most exact
/// address wins, as in the kernel.
fn reached(addresses: &[SocketAddr], listening: &[(SocketAddr, u64)]) -> Vec<u64> {
    let mut found = Vec::new();
    for address in addresses {
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        let at = |exact: bool| {
            listening.iter().filter(move |(socket, _)| {
                let ip = socket.ip();
                socket.port() == address.port()
                    && if exact {
                        ip == address.ip()
                    } else {
                        reaches(ip, address.ip())
                    }
            })
        };
        if at(true).next().is_some() {
            found.extend(at(true).map(|(_, inode)| *inode));
        } else {
            found.extend(at(false).map(|(_, inode)| *inode));
        }
    }
    found
}

/// Checks whether `bound` is the address that means every address of a family (`0.0.0.0` or `::`), so that a
/// socket bound to it takes a connection to `to`.
fn reaches(bound: IpAddr, to: IpAddr) -> bool {
    match bound {
        IpAddr::V4(ip) => ip.is_unspecified() && to.is_ipv4(),
        // An IPv6 socket takes IPv4 connections as well, unless IPV6_V6ONLY is set, which `/proc/net` does not show.
        IpAddr::V6(ip) => ip.is_unspecified(),
    }
}

/// Reads the addresses and inodes of the listening sockets (state 0A) from a `/proc/net/tcp` or `tcp6` table.
fn listeners(table: impl BufRead, rows: Rows) -> Vec<(SocketAddr, u64)> {
    let row = |line: &str| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        let local = fields.next()?;
        let listens = fields.nth(1)? == "0A";
        let inode = fields.nth(5)?.parse().ok()?;
        let (ip, port) = local.split_once(':')?;
        let port = u16::from_str_radix(port, 16).ok()?;
        let socket = SocketAddr::new(address(ip)?.to_canonical(), port);
        Some((listens, (socket, inode)))
    };
    let lines = table.lines().skip(1).map_while(Result::ok);
    let sockets = lines.filter_map(|line| row(&line));
    let sockets = sockets.take_while(|(listens, _)| *listens || rows == Rows::All);
    sockets
        .filter_map(|(listens, socket)| listens.then_some(socket))
        .collect()
}

/// Parses an address as the kernel prints it: words of 32 bits, each in the host's byte order.
fn address(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| {
        let word = u32::from_str_radix(hex.get(at * 8..at * 8 + 8)?, 16).ok()?;
        Some(word.to_ne_bytes())
    };
    match hex.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let words = [word(0)?, word(1)?, word(2)?, word(3)?];
            let bytes: [u8; 16] = words.concat().try_into().ok()?;
            Some(Ipv6Addr::from(bytes).into())
        }
        _ => None,
    }
}

/// Reads the inodes of the sockets that listen at `path` (flag 00010000) from a `/proc/net/unix` table.
fn unix(table: &str, path: &Path) -> Vec<u64> {
    let row = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let flags = fields.nth(3)?;
        let inode = fields.nth(2)?.parse().ok()?;
        (flags == "00010000" && fields.next().map(Path::new) == Some(path)).then_some(inode)
    };
    table.lines().skip(1).filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::net::UnixListener;
    use std::time::{Duration, Instant};

    #[test]
    fn a_table_of_the_kernel_is_read() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
             \x20  0: 0100007F:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0 100 0 0 10 0\n\
             \x20  1: 0100007F:1F40 0100007F:D431 01 00000000:00000000 00:00000000 00000000  1000        0 4712 1 0 20 4 30 10 -1\n";
        if cfg!(target_endian = "little") {
            let expected = "127.0.0.1:8000".parse().unwrap();
            let read = |table: &str, rows| listeners(table.as_bytes(), rows);
            assert_eq!(read(table, Rows::First), [(expected, 4711)]);
            assert_eq!(read(table, Rows::All), [(expected, 4711)]);
            let mut rows: Vec<_> = table.lines().collect();
            rows.swap(1, 2);
            assert_eq!(read(&rows.join("\n"), Rows::First), []);
            assert_eq!(read(&rows.join("\n"), Rows::All), [(expected, 4711)]);
            let six = address("00000000000000000000000001000000").unwrap();
            assert_eq!(six, IpAddr::V6(Ipv6Addr::LOCALHOST));
        }
        let table = "Num       RefCount Protocol Flags    Type St Inode Path\n\
             0000000000000000: 00000002 00000000 00010000 0001 01 4713 /run/todo.sock\n\
             0000000000000000: 00000003 00000000 00000000 0001 03 4714 /run/todo.sock\n";
        assert_eq!(unix(table, Path::new("/run/todo.sock")), [4713]);
        assert_eq!(unix(table, Path::new("/run/other.sock")), [0_u64; 0]);
    }

    #[test]
    fn who_listens_is_seen_and_is_a_stranger_unless_it_is_ours() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        // The kernel's table has other sockets than those that listen.
        let connections: Vec<_> = (0..50).map(|_| TcpStream::connect(address)).collect();
        assert!(connections.iter().all(Result::is_ok));
        let target = Target::Tcp(address.to_string());
        let me = std::process::id();
        assert_eq!(stranger(&target, &BTreeSet::new()).unwrap().pid, me);
        assert_eq!(stranger(&target, &BTreeSet::from([me])), None);
        drop((listener, connections));
        // A process that a test beside this is just starting has a copy of the listener until it runs its program.
        let give_up = Instant::now() + Duration::from_secs(10);
        while stranger(&target, &BTreeSet::new()).is_some() && Instant::now() < give_up {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(stranger(&target, &BTreeSet::new()), None);
    }

    #[test]
    fn the_same_at_a_unix_socket_and_at_every_address() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let _listener = UnixListener::bind(&path).unwrap();
        let found = stranger(&Target::Unix(path), &BTreeSet::new()).unwrap();
        assert_eq!(found.pid, std::process::id());
        assert!(!found.command.is_empty());
        let everywhere = TcpListener::bind("0.0.0.0:0").unwrap();
        let port = everywhere.local_addr().unwrap().port();
        let target = Target::Tcp(format!("localhost:{port}"));
        assert!(stranger(&target, &BTreeSet::new()).is_some());
    }
}
