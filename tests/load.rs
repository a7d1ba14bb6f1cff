//! Proves that `coldplate bench` does to a server what it says: what it reports is what the server counted, a cluster's
//! redirections are followed, and whatever goes wrong is told and is no panic.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use coldplate::protocol::resp::{Args, Limits, parse};
use coldplate::routing::slot_of;
use serde_json::Value;

/// A server of this build on a port of its own; ends with the test.
struct Server {
    process: Child,
    port: u16,
}

impl Server {
    fn start(options: &[&str]) -> Self {
        // Between choosing a free port and taking it, somebody else may.
        for _ in 0..5 {
            let port = free_port();
            let mut process = Command::new(env!("CARGO_BIN_EXE_coldplate"))
                .args(["serve", "--bind", "127.0.0.1", "--log-level", "error", "--port", &port.to_string()])
                .args(options)
                .stdout(Stdio::null())
                .spawn()
                .expect("this build's server can be started");
            for _ in 0..500 {
                if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                    return Self { process, port };
                }
                if process.try_wait().expect("a child can be asked").is_some() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            let _ = process.kill();
            let _ = process.wait();
        }
        panic!("no server came up");
    }

    fn ask(&self, line: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("the server listens");
        stream.write_all(format!("{line}\r\nQUIT\r\n").as_bytes()).expect("it takes requests");
        let mut reply = String::new();
        stream.read_to_string(&mut reply).expect("it answers and closes");
        reply
    }

    /// Commands that the server has counted, this question among them or not.
    fn commands(&self) -> u64 {
        let info = self.ask("INFO stats");
        let line =
            info.lines().find_map(|line| line.strip_prefix("total_commands_processed:")).expect("a line of INFO");
        line.trim().parse().expect("a number")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port is free").port()
}

fn bench(port: u16, arguments: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_coldplate"))
        .args(["bench", "-s", "127.0.0.1", "-p", &port.to_string()])
        .args(arguments.split_whitespace())
        .output()
        .expect("this build's bench can be started")
}

/// Runs to success and reads the JSON report's only section.
fn stats(port: u16, name: &str, arguments: &str) -> Value {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("load-{name}-{}.json", std::process::id()));
    let output = bench(port, &format!("{arguments} --json-out-file {}", path.display()));
    let (told, report) = (String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{arguments}: {told}");
    assert!(report.contains("ALL STATS"), "{report}");
    let text = std::fs::read_to_string(&path).expect("the report was written");
    let _ = std::fs::remove_file(&path);
    serde_json::from_str::<Value>(&text).expect("it is JSON")["ALL STATS"].take()
}

fn count(stats: &Value, row: &str) -> u64 {
    stats[row]["Count"].as_u64().expect("every row has a count")
}

/// Questions that bench and this test ask beside the load: INFO, QUIT and the like.
const QUESTIONS_MAX: u64 = 12;

#[test]
fn a_second_of_load_is_what_the_server_counted() {
    let server = Server::start(&["--cores", "1"]);
    let before = server.commands();
    let stats = stats(server.port, "second", "-t 2 -c 5 --pipeline 8 --ratio 1:3 --key-maximum 1000 --test-time 1");
    let counted = server.commands() - before;
    let (sets, gets, totals) = (count(&stats, "Sets"), count(&stats, "Gets"), count(&stats, "Totals"));
    assert!(totals > 0 && sets + gets == totals, "{sets} + {gets} = {totals}");
    assert!((totals..=totals + QUESTIONS_MAX).contains(&counted), "told {totals}, counted {counted}");
    let seconds = stats["Totals"]["Time-Serie"].as_object().expect("a map");
    let by_second: u64 = seconds.values().map(|second| second["Count"].as_u64().expect("a count")).sum();
    assert_eq!(by_second, totals);
    assert_eq!(stats["Server"]["Processes"][0], server.process.id(), "the server is local and was found");
    assert_eq!(stats["Errors"]["Count"], 0);
}

#[test]
fn a_number_of_requests_is_exact() {
    let server = Server::start(&["--cores", "1"]);
    let keys = "-t 2 -c 3 --key-minimum 1 --key-maximum 1000";
    let filled = stats(server.port, "fill", &format!("{keys} --ratio 1:0 --key-pattern P:P -n allkeys --pipeline 7"));
    assert_eq!(count(&filled, "Sets"), 1_000);
    assert!(server.ask("DBSIZE").starts_with(":1000\r\n"), "each key was set once");
    let read = stats(server.port, "read", &format!("{keys} --ratio 1:10 -n 110 --hot-key-share 0.5 -P resp3"));
    assert_eq!((count(&read, "Sets"), count(&read, "Gets")), (60, 600));
    assert_eq!(read["Gets"]["Misses/sec"], 0.0);
    let paced = stats(server.port, "paced", "-t 1 -c 2 -n 30 --rate-limiting 1000 --open-loop");
    assert_eq!(count(&paced, "Totals"), 60);
}

#[test]
fn errors_are_counted_and_told() {
    let server = Server::start(&["--cores", "1", "--requirepass", "secret"]);
    let refused = stats(server.port, "noauth", "-t 1 -c 2 -n 50");
    assert_eq!(count(&refused, "Totals"), 100);
    assert_eq!(refused["Errors"]["Kinds"]["NOAUTH Authentication required."]["Count"], 100);
    let wrong = bench(server.port, "-a nonsense -n 1");
    assert_eq!(wrong.status.code(), Some(1));
    let told = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(told.contains("refused AUTH: WRONGPASS") && !told.contains("nonsense"), "{told}");
    assert_eq!(count(&stats(server.port, "auth", "-a secret -t 1 -c 1 -n 5"), "Totals"), 5);

    let nobody = bench(free_port(), "-n 1");
    assert_eq!(nobody.status.code(), Some(1));
    let told = String::from_utf8_lossy(&nobody.stderr).into_owned();
    assert!(told.contains("cannot reach 127.0.0.1:") && !told.contains("panicked"), "{told}");
    let nonsense = bench(1, "--ratio x");
    assert_eq!(nonsense.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&nonsense.stderr).contains("--ratio must be two numbers"));
}

/// A node of a cluster whose first node claims all slots and has only the even ones.
struct Node {
    ports: [u16; 2],
    own: usize,
    served: Arc<[AtomicU64; 2]>,
}

impl Node {
    fn answer(&self, args: &Args<'_>) -> String {
        match args.get(0) {
            b"CLUSTER" => format!("*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$0\r\n\r\n:{}\r\n", self.ports[0]),
            b"INFO" => "-ERR unknown command 'INFO'\r\n".to_owned(),
            _ => {
                let slot = usize::from(slot_of(args.get(1)).0);
                if slot % 2 == self.own {
                    self.served[self.own].fetch_add(1, Ordering::Relaxed);
                    "+OK\r\n".to_owned()
                } else {
                    format!("-MOVED {slot} 127.0.0.1:{}\r\n", self.ports[slot % 2])
                }
            }
        }
    }

    fn serve(&self, mut stream: TcpStream) {
        let (mut held, mut buffer) = (Vec::new(), [0; 4096]);
        while let Ok(bytes @ 1..) = stream.read(&mut buffer) {
            held.extend_from_slice(&buffer[..bytes]);
            let (mut args, mut replies) = (Vec::new(), String::new());
            while let Ok(Some(taken)) = parse(&held, &Limits::default(), &mut args) {
                replies.push_str(&self.answer(&Args::new(&held[..taken], &args, &mut [])));
                held.drain(..taken);
                args.clear();
            }
            if stream.write_all(replies.as_bytes()).is_err() {
                return;
            }
        }
    }
}

#[test]
fn a_cluster_is_followed_where_it_points() {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port is free"));
    let ports = [0, 1].map(|node: usize| listeners[node].local_addr().expect("it is bound").port());
    let served = Arc::new([AtomicU64::new(0), AtomicU64::new(0)]);
    for (own, listener) in listeners.into_iter().enumerate() {
        let served = Arc::clone(&served);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let node = Node { ports, own, served: Arc::clone(&served) };
                std::thread::spawn(move || node.serve(stream));
            }
        });
    }
    let load = "--cluster-mode -t 1 -c 3 -n 400 --pipeline 4 --ratio 1:1 --key-maximum 49 --distinct-client-seed";
    let stats = stats(ports[0], "cluster", load);
    let [even, odd] = [0, 1].map(|node: usize| served[node].load(Ordering::Relaxed));
    let moved = count(&stats, "Totals") - even - odd;
    assert_eq!(count(&stats, "Totals"), 1_200, "each request was answered once");
    // A slot is learnt from its first MOVED; what was under way then, four for each client, is redirected too.
    assert!(odd > 0 && even > 0 && moved > 0 && moved <= 50 * 12, "{even} even, {odd} odd, {moved} moved");
    assert_eq!(stats["Errors"]["Count"], 0, "MOVED is no error of a cluster's");
    assert!(stats["Server"]["CPU not measured"].as_str().is_some_and(|reason| reason.contains("does not answer INFO")));
}

#[test]
fn a_lost_connection_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = listener.local_addr().expect("it is bound").port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut buffer = [0; 4096];
            // Answers one request, whichever it is, and hangs up.
            if stream.read(&mut buffer).is_ok_and(|bytes| bytes > 0) {
                let _ = stream.write_all(b"+OK\r\n");
            }
        }
    });
    let output = bench(port, "-t 1 -c 2 -n 10 --pipeline 3 --hide-histogram");
    let report = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(report.contains("Connection errors: 2, with "), "{report}");
}
