//! SCRIPT and FUNCTION where no script can be loaded: what tools ask between their runs is answered truthfully.

use crate::protocol::command::{Command, arity_text, introspect, spec};
use crate::protocol::resp::{Args, Reply};

pub fn answer(command: Command, args: &Args, reply: &mut Reply<'_>) {
    match command {
        Command::ScriptExists => {
            reply.array(args.len() - 2);
            (2..args.len()).for_each(|_| reply.integer(0));
        }
        Command::ScriptFlush if is_flush(args) => reply.ok(),
        Command::ScriptFlush => reply.error("ERR SCRIPT FLUSH only support SYNC|ASYNC option"),
        Command::FunctionFlush if args.len() > 3 => reply.error(&arity_text(spec(command))),
        Command::FunctionFlush if is_flush(args) => reply.ok(),
        Command::FunctionFlush => reply.error("ERR FUNCTION FLUSH only supports SYNC|ASYNC option"),
        Command::FunctionList => match unknown_of_list(args) {
            None => reply.array(0),
            Some(error) => reply.error_bytes(&error),
        },
        Command::ScriptHelp => introspect::help(Command::Script, reply),
        Command::FunctionHelp => introspect::help(Command::Function, reply),
        other => unreachable!("{other:?} is about scripts"),
    }
}

fn is_flush(args: &Args) -> bool {
    match args.try_get(2) {
        None => true,
        Some(mode) => args.len() == 3 && (mode.eq_ignore_ascii_case(b"async") || mode.eq_ignore_ascii_case(b"sync")),
    }
}

/// What is wrong with FUNCTION LIST's options, each of which may be there once.
fn unknown_of_list(args: &Args) -> Option<Vec<u8>> {
    let (mut with_code, mut with_name) = (false, false);
    let mut at = 2;
    while let Some(option) = args.try_get(at) {
        if !with_code && option.eq_ignore_ascii_case(b"withcode") {
            with_code = true;
        } else if !with_name && option.eq_ignore_ascii_case(b"libraryname") {
            with_name = true;
            at += 1;
            if at >= args.len() {
                return Some(b"ERR library name argument was not given".to_vec());
            }
        } else {
            return Some([b"ERR Unknown argument ", option].concat());
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::command::resolve;
    use crate::protocol::resp::{Limits, Output, Proto, parse};

    fn ask(words: &str) -> String {
        let words: Vec<&str> = words.split(' ').collect();
        let mut sent = format!("*{}\r\n", words.len());
        words.iter().for_each(|word| sent += &format!("${}\r\n{word}\r\n", word.len()));
        let mut places = Vec::new();
        parse(sent.as_bytes(), &Limits::default(), &mut places).expect("it is well formed").expect("it is whole");
        let args = Args::new(sent.as_bytes(), &places, &mut []);
        let mut out = Output::default();
        answer(resolve(&args).expect("it is known").command, &args, &mut Reply { out: &mut out, proto: Proto::Resp2 });
        String::from_utf8(out.flatten()).expect("replies are text")
    }

    /// The replies were read off redis-server 7.0.15 without a script or a function, but for the arity's.
    #[test]
    fn replies_are_those_of_a_server_without_scripts() {
        let cases = [
            ("SCRIPT FLUSH", "+OK\r\n"),
            ("script flush sync", "+OK\r\n"),
            ("script flush foo", "-ERR SCRIPT FLUSH only support SYNC|ASYNC option\r\n"),
            ("script flush sync sync", "-ERR SCRIPT FLUSH only support SYNC|ASYNC option\r\n"),
            ("script exists a b", "*2\r\n:0\r\n:0\r\n"),
            ("FUNCTION FLUSH", "+OK\r\n"),
            ("function flush Async", "+OK\r\n"),
            ("function flush foo", "-ERR FUNCTION FLUSH only supports SYNC|ASYNC option\r\n"),
            ("function flush a b", "-ERR wrong number of arguments for 'function|flush' command\r\n"),
            ("function list", "*0\r\n"),
            ("function list libraryname a* withcode", "*0\r\n"),
            ("function list libraryname", "-ERR library name argument was not given\r\n"),
            ("function list withcode withcode", "-ERR Unknown argument withcode\r\n"),
        ];
        for (words, reply) in cases {
            assert_eq!(ask(words), reply, "{words}");
        }
    }
}
