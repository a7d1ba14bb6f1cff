//! The `coldplate` program: allocator, command line, then [`coldplate::server`], [`coldplate::load`] or
//! [`coldplate::import`].

use coldplate::server::cli::{self, Outcome};
use coldplate::server::{host, log_tool, serve};
use coldplate::{import, load};
use std::process::ExitCode;

#[cfg(not(feature = "system-allocator"))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // The load generator's flags are memtier_benchmark's and those of an import redis-cli's: some of their letters mean
    // something else to a server. What looks at a log takes no server's flags.
    match std::env::args_os().nth(1) {
        Some(first) if first == "bench" => return load::main(std::env::args_os().skip(2)),
        Some(first) if first == "import" => return import::main(std::env::args_os().skip(2)),
        Some(first) if first == "log" => return log_tool::main(std::env::args_os().skip(2)),
        _ => {}
    }
    let invocation = match cli::parse(std::env::args_os()) {
        Ok(invocation) => invocation,
        Err(refusal) => refusal.exit(),
    };
    match cli::answer(&invocation, &host::cpus_available()) {
        Outcome::Answer(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Outcome::Refuse(text) => {
            eprint!("{text}");
            ExitCode::FAILURE
        }
        Outcome::Serve(loaded) => match serve(&loaded, invocation.sources.file) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("coldplate: {error}");
                ExitCode::FAILURE
            }
        },
    }
}
