//! Why a request does not get to run, in the words of Redis.

use super::passage::Passage;
use super::spec::Spec;
use crate::protocol::resp::Reply;

/// How much of a command's name, and of all of its arguments, an error repeats.
const ECHO_BYTES_MAX: usize = 128;

/// A request that names no command, or names one with the wrong number of arguments.
///
/// Its text may repeat bytes that the client sent: [`CommandError::write`] puts them on the wire as they came,
/// `Display` replaces what is not UTF-8. Two words in size, so that the good case of [`super::resolve`] stays in registers.
#[derive(Debug, thiserror::Error)]
#[error("{}", String::from_utf8_lossy(&self.text()))]
pub enum CommandError {
    UnknownCommand(Box<UnknownCommand>),
    UnknownSubcommand(Box<UnknownSubcommand>),
    WrongArity {
        spec: &'static Spec,
    },
    /// The same of a command that only other servers have.
    WrongArityAbroad {
        passage: &'static Passage,
    },
}

/// What an unknown command looked like, cut to what the error repeats.
#[derive(Debug)]
pub struct UnknownCommand {
    pub name: Vec<u8>,
    /// Each argument quoted and followed by a space.
    pub args: Vec<u8>,
}

/// A container's name and the word that names none of its subcommands.
#[derive(Debug)]
pub struct UnknownSubcommand {
    pub container: &'static str,
    pub name: Vec<u8>,
}

impl CommandError {
    /// `args` are those after the name; only as many are taken as the text repeats.
    #[cold]
    pub fn unknown_command<'a>(name: &[u8], args: impl Iterator<Item = &'a [u8]>) -> CommandError {
        let mut echoed = Vec::new();
        for arg in args {
            if echoed.len() >= ECHO_BYTES_MAX {
                break;
            }
            let room = ECHO_BYTES_MAX - echoed.len();
            echoed.push(b'\'');
            echoed.extend_from_slice(printable(arg, room));
            echoed.extend_from_slice(b"' ");
        }
        let name = printable(name, ECHO_BYTES_MAX).to_vec();
        CommandError::UnknownCommand(Box::new(UnknownCommand { name, args: echoed }))
    }

    #[cold]
    pub fn unknown_subcommand(container: &'static str, name: &[u8]) -> CommandError {
        let name = printable(name, ECHO_BYTES_MAX).to_vec();
        CommandError::UnknownSubcommand(Box::new(UnknownSubcommand { container, name }))
    }

    /// Answers with this error.
    pub fn write(&self, reply: &mut Reply<'_>) {
        reply.raw(b"-");
        reply.raw(&self.text());
        reply.raw(b"\r\n");
    }

    /// The error's line, without the leading `-` and the line end; it holds no line break.
    pub fn text(&self) -> Vec<u8> {
        let mut text = match self {
            CommandError::UnknownCommand(unknown) => {
                let told: [&[u8]; 2] = match is_scripting(&unknown.name) {
                    true => [b": Coldplate runs no scripts", b""],
                    false => [b", with args beginning with: ", &unknown.args],
                };
                [b"ERR unknown command '", &unknown.name[..], b"'", told[0], told[1]].concat()
            }
            CommandError::UnknownSubcommand(unknown) => {
                let container = unknown.container.to_ascii_uppercase();
                [b"ERR unknown subcommand '", &unknown.name[..], b"'. Try ", container.as_bytes(), b" HELP."].concat()
            }
            CommandError::WrongArity { spec } => arity_text(spec).into_bytes(),
            CommandError::WrongArityAbroad { passage } => wrong_arity(passage.name).into_bytes(),
        };
        text.iter_mut().filter(|byte| matches!(byte, b'\r' | b'\n')).for_each(|byte| *byte = b' ');
        text
    }
}

/// The text for a wrong number of arguments; commands with rules beyond their row's arity use it too.
pub fn arity_text(spec: &Spec) -> String {
    wrong_arity(spec.name)
}

fn wrong_arity(name: &str) -> String {
    format!("ERR wrong number of arguments for '{name}' command")
}

/// Commands that run what a client wrote. Whoever asks for one should not have to guess at a misspelling.
fn is_scripting(name: &[u8]) -> bool {
    const NAMES: [&str; 6] = ["eval", "evalsha", "eval_ro", "evalsha_ro", "fcall", "fcall_ro"];
    NAMES.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(name))
}

/// What Redis's formatting shows of an argument: up to its first NUL, and at most `room` bytes.
fn printable(arg: &[u8], room: usize) -> &[u8] {
    let arg = &arg[..arg.len().min(room)];
    arg.iter().position(|&byte| byte == 0).map_or(arg, |nul| &arg[..nul])
}
