//! The `coldplate` program: allocator, command line, then [`coldplate::server`].

use coldplate::server::cli::{self, Outcome};
use coldplate::server::{host, serve};
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
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
