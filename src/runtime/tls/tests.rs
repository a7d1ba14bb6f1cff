use super::session::Opened;
use super::*;
use crate::protocol::resp::{Output, Shared};
use std::fs;
use std::io::{Read, Write};

fn load(options: TlsOptions) -> String {
    Secure::load(&options).map_or_else(|error| error.to_string(), |_| "fine".to_owned())
}

/// Proves that a file that is not there, has nothing in it, or is no PEM at all is named.
#[test]
fn what_is_wrong_with_a_file_is_said() {
    let folder = std::env::temp_dir().join(format!("coldplate-tls-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("the folder for temporary files can be written");
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).expect("it is writable");
        Some(path)
    };
    let told = load(TlsOptions { ca_file: Some(folder.join("none")), ..TlsOptions::default() });
    assert!(told.contains("/none: ") && told.contains("No such file"), "{told}");
    let told = load(TlsOptions { ca_file: file("empty", "nothing\n"), ..TlsOptions::default() });
    assert!(told.ends_with("/empty: there is no certificate in it"), "{told}");
    let broken = "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n";
    let told = load(TlsOptions { ca_file: file("broken", broken), ..TlsOptions::default() });
    assert!(told.contains("/broken: "), "{told}");
    fs::remove_dir_all(&folder).expect("it is our own");
}

#[test]
fn a_server_is_called_by_its_host() {
    for (name, wanted) in [("redis.example", true), ("10.0.0.1", true), ("::1", true), ("", false), ("a b", false)] {
        assert_eq!(name_of(name).is_ok(), wanted, "{name}");
    }
}

/// A server of the tests, which vouches for itself, for a hundred years.
const CERT: &str = "\
-----BEGIN CERTIFICATE-----
MIIBnjCCAUSgAwIBAgIUQ43d9iZzL/OfEjuDlwWwJkazuN4wCgYIKoZIzj0EAwIw
GDEWMBQGA1UEAwwNcmVkaXMuZXhhbXBsZTAgFw0yNjExMjYwODExNThaGA8yMTI2
MTEwMjA4MTE1OFowGDEWMBQGA1UEAwwNcmVkaXMuZXhhbXBsZTBZMBMGByqGSM49
AgEGCCqGSM49AwEHA0IABEZJlhITZm00mHJRkjRecEZcoj3oSFYAx2B7ldw9J5dn
BJRlLmQtqxvpMOhnIRau7tbaXvElOI8k7gXaebz3i8KjajBoMB0GA1UdDgQWBBTw
CtU9YF0Wca4gn+OOgItO/VPzbTAfBgNVHSMEGDAWgBTwCtU9YF0Wca4gn+OOgItO
/VPzbTAYBgNVHREEETAPgg1yZWRpcy5leGFtcGxlMAwGA1UdEwEB/wQCMAAwCgYI
KoZIzj0EAwIDSAAwRQIhAJFAJ8lLXlF1gNcm+YksTcTP3nXhBwiCU+6uqiYO9+5W
AiBaY9uN2jasnjIxVG+W9g5iQTedSok1Ep10+mweDBq5nQ==
-----END CERTIFICATE-----
";
const KEY: &str = "\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg9fwOqGTL8aS3wxXd
14ZtS6QiT0AE7ox95gojMbqHk/mhRANCAARGSZYSE2ZtNJhyUZI0XnBGXKI96EhW
AMdge5XcPSeXZwSUZS5kLasb6TDoZyEWru7W2l7xJTiPJO4F2nm894vC
-----END PRIVATE KEY-----
";

struct Pair {
    client: Session,
    server: rustls::ServerConnection,
    /// What the server has received.
    heard: Vec<u8>,
    /// Bytes that arrive at once.
    piece: usize,
}

impl Pair {
    fn new(name: &str, piece: usize) -> Pair {
        let file = std::env::temp_dir().join(format!("coldplate-tls-{}-{name}-{piece}", std::process::id()));
        fs::write(&file, CERT).expect("the folder for temporary files can be written");
        let secure = Secure::load(&TlsOptions { ca_file: Some(file.clone()), ..TlsOptions::default() });
        fs::remove_file(&file).expect("it is our own");
        let client = secure.expect("it is a certificate").session(&format!("{name}:6379")).expect("it is a name");
        let builder = rustls::ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().expect("two").with_no_client_auth();
        let chain = vec![CertificateDer::from_pem_slice(CERT.as_bytes()).expect("PEM")];
        let key = PrivateKeyDer::from_pem_slice(KEY.as_bytes()).expect("PEM");
        let config = builder.with_single_cert(chain, key).expect("they belong together");
        Pair {
            client,
            server: rustls::ServerConnection::new(Arc::new(config)).expect("fine"),
            heard: Vec::new(),
            piece,
        }
    }

    /// Carries what both have to say until neither has anything; answers what the client was sent.
    fn carry(&mut self) -> Result<(Vec<u8>, Opened), String> {
        let (mut plain, mut opened) = (Vec::new(), Opened::On);
        loop {
            let mut sealed = Output::default();
            if self.client.wants_send() {
                self.client.seal(&mut sealed);
                self.serve(&sealed.bytes);
            }
            let mut back = Vec::new();
            while self.server.wants_write() {
                self.server.write_tls(&mut back).expect("a buffer takes everything");
            }
            for piece in back.chunks(self.piece) {
                opened = self.client.open(piece, &mut plain)?;
            }
            if back.is_empty() && !self.client.wants_send() {
                return Ok((plain, opened));
            }
        }
    }

    fn serve(&mut self, sealed: &[u8]) {
        for mut piece in sealed.chunks(self.piece) {
            while !piece.is_empty() {
                self.server.read_tls(&mut piece).expect("it is there");
                // What a client does not like is told by its own error.
                if let Ok(state) = self.server.process_new_packets() {
                    let from = self.heard.len();
                    self.heard.resize(from + state.plaintext_bytes_to_read(), 0);
                    self.server.reader().read_exact(&mut self.heard[from..]).expect("it is there");
                }
            }
        }
    }
}

/// Proves that a handshake and whatever follows it may come in any pieces, that values of an output are sent where they
/// belong, and that the end is told of.
#[test]
fn bytes_pass_in_any_pieces() {
    for piece in [1, 7, 1000, usize::MAX] {
        let mut pair = Pair::new("redis.example", piece);
        pair.server.set_buffer_limit(None);
        assert!(pair.client.wants_send() && !pair.client.has_shaken_hands());
        assert_eq!(pair.carry(), Ok((Vec::new(), Opened::On)));
        assert!(pair.client.has_shaken_hands() && !pair.client.shakes_hands && !pair.client.has_shaken_hands());

        let mut output = Output::default();
        output.bytes.extend_from_slice(b"beforebehind");
        let value = Arc::new(vec![b'x'; 40_000]);
        output.shared.push(Shared { at: 6, value, range: 10..30_010 });
        pair.client.seal(&mut output);
        assert!(output.shared.is_empty() && output.bytes.len() > 30_012);
        pair.serve(&output.bytes);
        assert_eq!(pair.heard, [&b"before"[..], &[b'x'; 30_000], b"behind"].concat());

        let large: Vec<u8> = (0..100_000u32).map(|at| at as u8).collect();
        pair.server.writer().write_all(&large).expect("it fits");
        assert_eq!(pair.carry(), Ok((large, Opened::On)));
        pair.server.send_close_notify();
        assert_eq!(pair.carry(), Ok((Vec::new(), Opened::End)));
    }
}

#[test]
fn what_is_not_to_be_trusted_is_an_error() {
    let told = Pair::new("other.example", 1000).carry().expect_err("it is another's certificate");
    assert!(told.contains("not valid for name"), "{told}");
    let mut pair = Pair::new("redis.example", 1000);
    let told = pair.client.open(b"-ERR no TLS here\r\n", &mut Vec::new()).expect_err("these bytes are no TLS");
    assert!(told.contains("corrupt"), "{told}");
}
