//! The `coldplate` program: allocator, command line, then [`coldplate::server`] or [`coldplate::load`].

use coldplate::load;
use coldplate::server::cli::{self, Outcome};
use coldplate::server::{host, serve};
use std::process::ExitCode;

#[cfg(not(feature = "system-allocator"))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // The load generator's flags are memtier_benchmark's, and some of its letters mean something else to a server.
    if std::env::args_os().nth(1).is_some_and(|first| first == "bench") {
        return load::main(std::env::args_os().skip(2));
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
