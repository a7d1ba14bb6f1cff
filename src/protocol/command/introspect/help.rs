//! A container's HELP, from its subcommands' documentation: a new row is explained without further work.

use std::fmt::Write;

use crate::protocol::command::{Arg, ArgKind, Command, spec};
use crate::protocol::resp::Reply;

/// The subcommands of a container, each with its arguments and, indented below, what it does.
pub fn help(container: Command, reply: &mut Reply<'_>) {
    let container = spec(container);
    let mut lines = Vec::with_capacity(2 * container.subcommands.len() + 3);
    lines.push(format!(
        "{} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        container.name.to_ascii_uppercase()
    ));
    if container.arity == -1 {
        lines.extend(["(no subcommand)".to_owned(), format!("    {}.", container.summary)]);
    }
    for sub in container.subcommands {
        lines.extend([sub.short_name().to_ascii_uppercase() + &usage(sub.args), format!("    {}.", sub.summary)]);
    }
    reply.array(lines.len());
    lines.iter().for_each(|line| reply.simple(line));
}

/// The arguments as people write them, each after a space: ` <key> [NX | XX] [EX <seconds>]`.
fn usage(args: &[Arg]) -> String {
    let mut text = String::new();
    for arg in args {
        let value = value(arg);
        let space = if arg.token.is_empty() || value.is_empty() { "" } else { " " };
        let mut once = format!("{}{space}{value}", arg.token);
        if arg.multiple {
            once = format!("{once} [{once} ...]");
        }
        let (open, close) = if arg.optional { ("[", "]") } else { ("", "") };
        write!(text, " {open}{once}{close}").expect("writing to a String succeeds");
    }
    text
}

/// What stands after the argument's token, if it has one.
fn value(arg: &Arg) -> String {
    match arg.kind {
        ArgKind::PureToken => String::new(),
        ArgKind::Block => usage(arg.args).trim_start().to_owned(),
        ArgKind::OneOf => {
            let alternatives: Vec<String> =
                arg.args.iter().map(|arg| usage(std::slice::from_ref(arg)).trim_start().to_owned()).collect();
            let text = alternatives.join(" | ");
            if arg.optional { text } else { format!("<{text}>") }
        }
        _ => format!("<{}>", arg.name),
    }
}
