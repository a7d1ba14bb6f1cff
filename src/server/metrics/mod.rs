//! Owns: figures for Prometheus and what else reads OpenMetrics: a thread of its own, the port, the text.
//! Knows: a snapshot of all cores, and what the machine says of the process.
//! Must never know: keys, values, clients; nothing here names one.
//! Read first: this file, then `exposition.rs` (every metric), `http.rs` (what is answered to whom).

mod exposition;
mod http;

use crate::engine::Host;
use crate::runtime::Control;
use exposition::{Exposition, Process};
use std::io::{PipeWriter, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread::Builder;
use std::time::Duration;

/// How long all cores together have to say what they have counted.
const CORES_PATIENCE: Duration = Duration::from_secs(1);
/// How long whoever connects has to ask, and then to take each piece of the answer.
const PEER_PATIENCE: Duration = Duration::from_secs(2);
/// After an accept that failed, as it does without descriptors.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// The port could not be had.
#[derive(Debug, thiserror::Error)]
#[error("metrics on {address}: {source}; choose another with --metrics-bind and --metrics-port, or 0 for none")]
pub struct MetricsError {
    address: SocketAddr,
    source: std::io::Error,
}

/// Where the figures come from.
pub struct Source {
    control: Arc<Control>,
    /// By core. Whoever has them asks, one at a time.
    alarms: Mutex<Vec<PipeWriter>>,
    host: Arc<dyn Host + Send + Sync>,
}

pub fn bind(address: SocketAddr) -> Result<TcpListener, MetricsError> {
    TcpListener::bind(address).map_err(|source| MetricsError { address, source })
}

/// Answers at each address one after the other: nobody needs the figures twice at a time, and nobody takes more threads.
pub fn start(listeners: Vec<TcpListener>, source: Source) -> std::io::Result<()> {
    let source = Arc::new(source);
    for listener in listeners {
        let source = Arc::clone(&source);
        Builder::new().name("metrics".into()).spawn(move || answer_all(&listener, &source))?;
    }
    Ok(())
}

fn answer_all(listener: &TcpListener, source: &Source) -> ! {
    loop {
        match listener.accept() {
            Ok((stream, _)) => answer(stream, source),
            Err(error) => {
                log::warn!("metrics: {error}");
                std::thread::sleep(ACCEPT_RETRY);
            }
        }
    }
}

fn answer(mut stream: TcpStream, source: &Source) {
    let patient = stream.set_read_timeout(Some(PEER_PATIENCE)).and(stream.set_write_timeout(Some(PEER_PATIENCE)));
    let served = patient.and_then(|()| http::serve(&mut stream, PEER_PATIENCE, || source.text()));
    if let Err(error) = served {
        log::debug!("metrics: {error}");
    }
}

impl Source {
    pub fn new(control: Arc<Control>, alarms: Vec<PipeWriter>, host: Arc<dyn Host + Send + Sync>) -> Source {
        Source { control, alarms: Mutex::new(alarms), host }
    }

    fn text(&self) -> String {
        let scrape = self.control.scrape.as_ref().expect("it was made with the port");
        let mut alarms = self.alarms.lock().expect("nobody panics with it");
        let process = Process {
            report: self.host.report(),
            draining: self.control.stopping.load(Ordering::Acquire),
            cores: alarms.len(),
        };
        let ring = || {
            for alarm in alarms.iter_mut() {
                // A core that has ended has closed its pipe.
                let _ = alarm.write_all(&[0]);
            }
        };
        Exposition { snapshot: scrape.ask(ring, CORES_PATIENCE), process }.encode()
    }
}
