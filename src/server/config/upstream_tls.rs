//! Keys of `[[upstream]]` about TLS to its servers.

use std::path::PathBuf;

use super::arrays::{FITS, Key};
use super::kind::Kind;
use super::parameter::Stored;
use super::upstream::Upstream;

/// How connections to an upstream are made secret.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UpstreamTls {
    pub on: bool,
    pub ca_file: Option<PathBuf>,
    pub cert_file: Option<PathBuf>,
    pub key_file: Option<PathBuf>,
    pub server_name: Option<String>,
}

pub(super) const TLS: Key<Upstream> = Key {
    key: "tls",
    kind: Kind::Switch,
    unit: "",
    absent: "off",
    example: "",
    why: "Whether its servers speak TLS, 1.2 or 1.3. Their certificates have to be for the name or address that they are \
          called by here.",
    get: |upstream| Some(upstream.tls.on.to_value()),
    set: |upstream, value| upstream.tls.on = Stored::from_value(value).expect(FITS),
};

pub(super) const TLS_CA_FILE: Key<Upstream> = Key {
    key: "tls_ca_file",
    kind: Kind::Path,
    unit: "",
    absent: "none",
    example: "",
    why: "The authorities that may vouch for its servers, as a PEM file. Without one it is those that the system trusts.",
    get: |upstream| upstream.tls.ca_file.as_ref().map(Stored::to_value),
    set: |upstream, value| upstream.tls.ca_file = Stored::from_value(value).expect(FITS),
};

pub(super) const TLS_CERT_FILE: Key<Upstream> = Key {
    key: "tls_cert_file",
    kind: Kind::Path,
    unit: "",
    absent: "none",
    example: "",
    why: "The certificate that is shown to servers that ask for one, as a PEM file.",
    get: |upstream| upstream.tls.cert_file.as_ref().map(Stored::to_value),
    set: |upstream, value| upstream.tls.cert_file = Stored::from_value(value).expect(FITS),
};

pub(super) const TLS_KEY_FILE: Key<Upstream> = Key {
    key: "tls_key_file",
    kind: Kind::Path,
    unit: "",
    absent: "none",
    example: "",
    why: "That certificate's private key, as a PEM file.",
    get: |upstream| upstream.tls.key_file.as_ref().map(Stored::to_value),
    set: |upstream, value| upstream.tls.key_file = Stored::from_value(value).expect(FITS),
};

pub(super) const TLS_SERVER_NAME: Key<Upstream> = Key {
    key: "tls_server_name",
    kind: Kind::Host,
    unit: "",
    absent: "none",
    example: "",
    why: "The name that all its servers' certificates are for, if not that of their addresses.",
    get: |upstream| upstream.tls.server_name.as_ref().map(Stored::to_value),
    set: |upstream, value| upstream.tls.server_name = Stored::from_value(value).expect(FITS),
};
