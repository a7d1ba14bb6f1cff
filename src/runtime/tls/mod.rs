//! Owns: what makes a connection to a server secret: certificates, and the session between plain bytes and sealed ones.
//! Knows: rustls, which is all that this program has of TLS; files of certificates, read once at the start.
//! Must never know: sockets, what is in the bytes, whom they are for.
//! Read first: `Secure` below, then `session.rs`, then `table.rs`.
//!
//! Where no pool is under TLS the table is empty, and whoever sends or receives looks at no more than that.

mod session;
mod table;

pub use session::Session;
pub use table::{News, Sessions};

use rustls::client::ClientConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem};
use rustls::{RootCertStore, crypto};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where systems keep the authorities that they trust, one after the other.
const SYSTEM_CA_FILES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// What a pool's connections are made secret with.
#[derive(Clone, Debug, Default)]
pub struct TlsOptions {
    /// Who may vouch for a server; none: whoever the system trusts.
    pub ca_file: Option<PathBuf>,
    /// Who this client is, where servers want to know.
    pub cert_file: Option<PathBuf>,
    pub key_file: Option<PathBuf>,
    /// The name that a server's certificate has to be for; none: that of its address.
    pub server_name: Option<String>,
}

/// Why a pool cannot be under TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{}: {source}", file.display())]
    Pem { file: PathBuf, source: pem::Error },
    #[error("{}: there is no certificate in it", file.display())]
    Empty { file: PathBuf },
    #[error("the system has no file of authorities; name one by tls_ca_file")]
    NoAuthorities,
    #[error("`{name}` is no name that a certificate can be for")]
    Name { name: String },
    #[error(transparent)]
    Rustls(#[from] rustls::Error),
}

/// A pool's part of TLS, the same for all its connections on all cores.
#[derive(Debug)]
pub struct Secure {
    config: Arc<ClientConfig>,
    name: Option<ServerName<'static>>,
}

impl Secure {
    /// Reads the files.
    pub fn load(options: &TlsOptions) -> Result<Secure, TlsError> {
        let mut authorities = RootCertStore::empty();
        match &options.ca_file {
            Some(file) => certificates(file)?.into_iter().try_for_each(|one| authorities.add(one))?,
            None => {
                let file = SYSTEM_CA_FILES.iter().map(Path::new).find(|file| file.exists());
                // Of a system's many authorities one may be older than what can be read.
                authorities.add_parsable_certificates(certificates(file.ok_or(TlsError::NoAuthorities)?)?);
            }
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions()?.with_root_certificates(authorities);
        let config = match (&options.cert_file, &options.key_file) {
            (Some(cert_file), Some(key_file)) => {
                let key = PrivateKeyDer::from_pem_file(key_file)
                    .map_err(|source| TlsError::Pem { file: key_file.clone(), source })?;
                builder.with_client_auth_cert(certificates(cert_file)?, key)?
            }
            _ => builder.with_no_client_auth(),
        };
        let name = options.server_name.as_deref().map(name_of).transpose()?;
        Ok(Secure { config: Arc::new(config), name })
    }

    /// A session with a server, which is called `host:port`.
    pub fn session(&self, server: &str) -> Result<Session, TlsError> {
        let name = match &self.name {
            Some(name) => name.clone(),
            None => {
                let host = server.rsplit_once(':').map_or(server, |(host, _)| host);
                name_of(host.trim_start_matches('[').trim_end_matches(']'))?
            }
        };
        Ok(Session::new(rustls::ClientConnection::new(Arc::clone(&self.config), name)?))
    }
}

fn name_of(name: &str) -> Result<ServerName<'static>, TlsError> {
    ServerName::try_from(name.to_owned()).map_err(|_| TlsError::Name { name: name.to_owned() })
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = CertificateDer::pem_file_iter(file).and_then(|all| all.collect::<Result<Vec<_>, _>>());
    let read = read.map_err(|source| TlsError::Pem { file: file.to_path_buf(), source })?;
    if read.is_empty() { Err(TlsError::Empty { file: file.to_path_buf() }) } else { Ok(read) }
}

#[cfg(test)]
mod tests;
