//! Where a server listens, and a connection that has logged in there.

use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use super::command::append_bulk;
use super::error::LoadError;
use crate::protocol::resp::Value;

/// How long connecting may take, and each answer before the load begins.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    Tcp(String, u16),
    Unix(PathBuf),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// What every connection says first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Login {
    pub user: Option<String>,
    pub password: Option<String>,
    /// 2 or 3: HELLO is sent. None: the server's default, and no HELLO.
    pub hello: Option<u8>,
    pub database: Option<u32>,
}

impl Login {
    /// Each command, with the words to name it by in an error: secrets are left out.
    fn commands(&self) -> Vec<(&'static str, Vec<String>)> {
        let mut commands = Vec::new();
        if let Some(password) = &self.password {
            let words = ["AUTH".to_owned()].into_iter().chain(self.user.clone()).chain([password.clone()]);
            commands.push(("AUTH", words.collect()));
        }
        if let Some(version) = self.hello {
            commands.push(("HELLO", vec!["HELLO".to_owned(), version.to_string()]));
        }
        if let Some(database) = self.database {
            commands.push(("SELECT", vec!["SELECT".to_owned(), database.to_string()]));
        }
        commands
    }
}

/// A connected socket of either kind.
#[derive(Debug)]
pub enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    fn connect(endpoint: &Endpoint) -> std::io::Result<Self> {
        match endpoint {
            Endpoint::Unix(path) => UnixStream::connect(path).map(Self::Unix),
            Endpoint::Tcp(host, port) => {
                let mut failed = std::io::Error::new(ErrorKind::NotFound, "the name has no address");
                for address in (host.as_str(), *port).to_socket_addrs()? {
                    match TcpStream::connect_timeout(&address, PATIENCE) {
                        Ok(stream) => {
                            stream.set_nodelay(true)?;
                            return Ok(Self::Tcp(stream));
                        }
                        Err(error) => failed = error,
                    }
                }
                Err(failed)
            }
        }
    }

    fn set_patience(&self, patience: Option<Duration>) -> std::io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_read_timeout(patience),
            Self::Unix(stream) => stream.set_read_timeout(patience),
        }
    }

    fn set_nonblocking(&self) -> std::io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_nonblocking(true),
            Self::Unix(stream) => stream.set_nonblocking(true),
        }
    }

    /// Whether the other end is a process of this machine, as far as addresses tell.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Unix(_) => true,
            Self::Tcp(stream) => match (stream.local_addr(), stream.peer_addr()) {
                (Ok(own), Ok(peer)) => peer.ip().is_loopback() || own.ip() == peer.ip(),
                _ => false,
            },
        }
    }

    /// Ends it in both directions: whoever reads or writes it is told.
    pub fn shutdown(&self) {
        let _ = match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Both),
            Self::Unix(stream) => stream.shutdown(Shutdown::Both),
        };
    }

    pub fn read(&self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Tcp(stream) => (&*stream).read(buffer),
            Self::Unix(stream) => (&*stream).read(buffer),
        }
    }

    pub fn write(&self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Tcp(stream) => (&*stream).write(bytes),
            Self::Unix(stream) => (&*stream).write(bytes),
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }
}

/// A connection for questions: one at a time, each waits for its answer.
pub struct Client {
    socket: Socket,
    endpoint: Endpoint,
    received: Vec<u8>,
}

impl Client {
    pub fn connect(endpoint: &Endpoint, login: &Login) -> Result<Self, LoadError> {
        let connect = || {
            let socket = Socket::connect(endpoint)?;
            socket.set_patience(Some(PATIENCE))?;
            Ok(socket)
        };
        let socket = connect().map_err(|source| LoadError::Connect { endpoint: endpoint.clone(), source })?;
        let mut client = Self { socket, endpoint: endpoint.clone(), received: Vec::new() };
        for (name, words) in login.commands() {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            if let Value::Error(reply) = client.ask(name, &words)? {
                return Err(LoadError::Refused { endpoint: endpoint.clone(), command: name.to_owned(), reply });
            }
        }
        Ok(client)
    }

    /// The connection for a load: nothing is under way, and nothing blocks.
    pub fn into_load(self) -> Result<Socket, LoadError> {
        let ready = self.socket.set_patience(None).and_then(|()| self.socket.set_nonblocking());
        ready.map_err(|source| LoadError::Connect { endpoint: self.endpoint, source })?;
        Ok(self.socket)
    }

    /// The connection for requests one behind the other, whose answers somebody else reads meanwhile.
    pub fn into_waiting(self, patience: Duration) -> Result<Socket, LoadError> {
        let ready = self.socket.set_patience(Some(patience));
        ready.map_err(|source| LoadError::Connect { endpoint: self.endpoint, source })?;
        Ok(self.socket)
    }

    pub fn is_local(&self) -> bool {
        self.socket.is_local()
    }

    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// `name` is what an error calls the question.
    pub fn ask(&mut self, name: &str, words: &[&str]) -> Result<Value, LoadError> {
        let no_answer =
            |source| LoadError::NoAnswer { endpoint: self.endpoint.clone(), command: name.to_owned(), source };
        let mut request = format!("*{}\r\n", words.len()).into_bytes();
        words.iter().for_each(|word| append_bulk(word.as_bytes(), &mut request));
        let mut rest = &request[..];
        while !rest.is_empty() {
            match self.socket.write(rest) {
                Ok(sent) => rest = &rest[sent..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(no_answer(error)),
            }
        }
        let mut buffer = [0; 16 * 1024];
        loop {
            let parsed = Value::parse(&self.received);
            match parsed.map_err(|bad| LoadError::NotAReply { endpoint: self.endpoint.clone(), line: bad.0 })? {
                Some((answer, taken)) => {
                    self.received.drain(..taken);
                    return Ok(answer);
                }
                None => match self.socket.read(&mut buffer) {
                    Ok(0) => return Err(no_answer(ErrorKind::UnexpectedEof.into())),
                    Ok(bytes) => self.received.extend_from_slice(&buffer[..bytes]),
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => return Err(no_answer(error)),
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Proves what a login says, in the order a server wants it, and that no error names the password.
    #[test]
    fn a_login_is_its_commands() {
        let login =
            Login { user: Some("me".into()), password: Some("secret".into()), hello: Some(3), database: Some(1) };
        let said: Vec<String> = login.commands().iter().map(|(_, words)| words.join(" ")).collect();
        assert_eq!(said, ["AUTH me secret", "HELLO 3", "SELECT 1"]);
        assert!(login.commands().iter().all(|(name, _)| !name.contains("secret")));
        assert!(Login::default().commands().is_empty());
    }

    /// Proves that nobody listening is an error that says where.
    #[test]
    fn refused_connections_say_where() {
        let port =
            std::net::TcpListener::bind("127.0.0.1:0").and_then(|taken| taken.local_addr()).expect("free").port();
        let endpoint = Endpoint::Tcp("127.0.0.1".into(), port);
        let error = Client::connect(&endpoint, &Login::default()).err().expect("nobody listens").to_string();
        assert!(error.starts_with(&format!("cannot reach 127.0.0.1:{port}: ")), "{error}");
    }
}
