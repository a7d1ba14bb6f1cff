//! Listening sockets: TCP over IPv4 and IPv6, and Unix.

use socket2::{Domain, Protocol, SockAddr, Socket, TcpKeepalive, Type};
use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A listening socket, as a core holds it.
pub struct Listener {
    pub fd: OwnedFd,
    /// When to accept again, after an accept failed for want of descriptors.
    pub again_us: Option<u64>,
    /// What connects to it stays on this core, instead of going to the one with the fewest connections.
    pub keeps: bool,
}

impl Listener {
    /// One that serves all cores.
    pub fn shared(fd: OwnedFd) -> Listener {
        Listener { fd, again_us: None, keeps: false }
    }

    /// One of this core alone.
    pub fn own(fd: OwnedFd) -> Listener {
        Listener { fd, again_us: None, keeps: true }
    }
}

/// Where to listen.
pub struct Listening {
    pub bind: Vec<IpAddr>,
    /// 0 for no TCP.
    pub port: u16,
    /// Ports of single cores, in their order.
    pub core_ports: Vec<u16>,
    pub unixsocket: Option<PathBuf>,
    /// Mode bits of the Unix socket's file; 0 leaves them to the umask.
    pub unixsocketperm: u32,
    pub backlog: u32,
    /// Seconds of silence before the kernel probes a peer; 0 for never.
    pub keepalive_s: u32,
}

/// Sockets that listen, and the file that goes with the last one.
pub struct Bound {
    pub sockets: Vec<OwnedFd>,
    /// Those of single cores, in their order.
    pub of_cores: Vec<Vec<OwnedFd>>,
    pub file: Option<PathBuf>,
}

impl Drop for Bound {
    fn drop(&mut self) {
        if let Some(file) = &self.file {
            // Another server may have taken the path over; a file that is gone already is no failure.
            let _ = fs::remove_file(file);
        }
    }
}

/// How long a port may be taken at the start: the kernel ends the ring of a process that was killed, which accepts on it, a
/// moment after the process.
const TAKEN: Duration = Duration::from_secs(1);

/// Why a socket does not listen, and what to change.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("port {port} on {address} is taken by another process; stop it, or choose another with {flag}")]
    Taken { address: IpAddr, port: u16, flag: &'static str },
    #[error("{address} is no address of this machine; choose another with --bind")]
    NoSuchAddress { address: IpAddr },
    #[error("port {port} needs privileges; choose one from 1024 on, or grant CAP_NET_BIND_SERVICE")]
    Privileged { port: u16 },
    #[error("{} is the socket of a server that runs; stop it, or choose another with --unixsocket", .path.display())]
    SocketTaken { path: PathBuf },
    #[error("{} exists and is no socket; remove it, or choose another path with --unixsocket", .path.display())]
    NotASocket { path: PathBuf },
    #[error("cannot listen on {what}: {source}")]
    System { what: String, source: io::Error },
}

/// Opens all listening sockets. Options that accepted sockets inherit (no delay, keepalive) are set here, once.
pub fn listen(listening: &Listening) -> Result<Bound, ListenError> {
    let mut bound = Bound { sockets: Vec::new(), of_cores: Vec::new(), file: None };
    if listening.port != 0 {
        bound.sockets = listen_port(listening.port, "--port", listening)?;
    }
    for port in &listening.core_ports {
        bound.of_cores.push(listen_port(*port, "--cluster-first-port", listening)?);
    }
    if let Some(path) = &listening.unixsocket {
        bound.sockets.push(listen_unix(path, listening)?);
        bound.file = Some(path.clone());
    }
    Ok(bound)
}

/// A port on every address; `flag` is what chooses it.
fn listen_port(port: u16, flag: &'static str, listening: &Listening) -> Result<Vec<OwnedFd>, ListenError> {
    listening.bind.iter().map(|address| listen_tcp(*address, port, flag, listening)).collect()
}

fn listen_tcp(address: IpAddr, port: u16, flag: &'static str, listening: &Listening) -> Result<OwnedFd, ListenError> {
    let target = SocketAddr::new(address, port);
    let open = || -> io::Result<Socket> {
        let socket = Socket::new(Domain::for_address(target), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.set_tcp_nodelay(true)?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        if listening.keepalive_s > 0 {
            let every = Duration::from_secs(u64::from(listening.keepalive_s));
            let interval = (every / 3).max(Duration::from_secs(1));
            socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(every).with_interval(interval).with_retries(3))?;
        }
        socket.bind(&target.into())?;
        socket.listen(listening.backlog as i32)?;
        Ok(socket)
    };
    let mut opened = open();
    let since = Instant::now();
    while opened.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse) && since.elapsed() < TAKEN {
        std::thread::sleep(TAKEN / 100);
        opened = open();
    }
    match opened {
        Ok(socket) => Ok(socket.into()),
        Err(source) => Err(match source.kind() {
            io::ErrorKind::AddrInUse => ListenError::Taken { address, port, flag },
            io::ErrorKind::AddrNotAvailable => ListenError::NoSuchAddress { address },
            io::ErrorKind::PermissionDenied => ListenError::Privileged { port },
            _ => ListenError::System { what: target.to_string(), source },
        }),
    }
}

fn listen_unix(path: &Path, listening: &Listening) -> Result<OwnedFd, ListenError> {
    let system = |source| ListenError::System { what: path.display().to_string(), source };
    let address = SockAddr::unix(path).map_err(system)?;
    if let Ok(metadata) = fs::symlink_metadata(path) {
        if !metadata.file_type().is_socket() {
            return Err(ListenError::NotASocket { path: path.to_path_buf() });
        }
        // A socket that nobody answers was left by a server that did not end well.
        let probe = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(system)?;
        if probe.connect(&address).is_ok() {
            return Err(ListenError::SocketTaken { path: path.to_path_buf() });
        }
        fs::remove_file(path).map_err(system)?;
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(system)?;
    socket.bind(&address).map_err(system)?;
    if listening.unixsocketperm != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(listening.unixsocketperm)).map_err(system)?;
    }
    socket.listen(listening.backlog as i32).map_err(system)?;
    Ok(socket.into())
}
