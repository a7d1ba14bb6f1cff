//! Owns: the rows, one file a group; their order is the order of COMMAND's replies.
//! Knows: what each command is called, takes, touches and is for.
//! Must never know: what a command does.
//! Read first: `string.rs`.

mod bits;
mod cluster;
mod connection;
mod generic;
mod hotkeys;
mod pubsub;
mod scripting;
mod server;
mod string;
mod transaction;

use super::spec::Spec;

#[rustfmt::skip]
pub(super) static GROUPS: &[&[Spec]] = &[
    string::ROWS,
    bits::ROWS,
    generic::ROWS,
    transaction::ROWS,
    connection::ROWS,
    server::ROWS,
    hotkeys::ROWS,
    scripting::ROWS,
    pubsub::ROWS,
    cluster::ROWS,
];

/// Each command once; subcommands are found in their containers.
pub fn rows() -> impl Iterator<Item = &'static Spec> {
    GROUPS.iter().copied().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::command::Command::{self, *};
    use crate::protocol::command::spec;

    type Row = fn(&'static str, Command, i16) -> Spec;

    /// What each file begins its rows with.
    const BEGINNINGS: &[(Row, &[Spec])] = &[
        (string::row, string::ROWS),
        (bits::row, bits::ROWS),
        (generic::row, generic::ROWS),
        (transaction::row, transaction::ROWS),
        (connection::row, connection::ROWS),
        (server::row, server::ROWS),
        (hotkeys::row, hotkeys::ROWS),
        (scripting::row, scripting::ROWS),
        (pubsub::row, pubsub::ROWS),
        (cluster::row, cluster::ROWS),
    ];
    /// Their group is another than that of their file.
    const ELSEWHERE: &[Command] = &[Rename, RenameNx, Copy, MSetNx, BitOp, Lcs, Monitor];

    /// Proves that what the compiler ran to begin rows does the same at run time.
    #[test]
    fn rows_begin_alike_at_run_time() {
        for &(row, rows) in BEGINNINGS {
            for spec in rows.iter().flat_map(|spec| std::iter::once(spec).chain(spec.subcommands)) {
                let Spec { name, command, arity, group, .. } = *spec;
                let made = match ELSEWHERE.contains(&command) {
                    true => transaction::keys(name, command, arity, group),
                    false => row(name, command, arity),
                };
                assert_eq!((made.name, made.command, made.arity, made.group), (name, command, arity, group));
            }
        }
    }

    /// The same of the functions that make most of a row, each by one row.
    #[test]
    fn rows_of_a_kind_are_made_alike_at_run_time() {
        let check = |command, make: fn(&Spec) -> Spec| {
            assert_eq!(format!("{:?}", make(spec(command))), format!("{:?}", spec(command)));
        };
        check(ObjectFreq, |row| generic::about(row.name, row.command, row.since, row.summary));
        check(LatencyLatest, |row| server::latency(row.name, row.command, row.arity, row.since, row.summary));
        check(CommandDocs, |row| {
            let made = server::about(row.name, row.command, row.arity).args(row.args);
            made.doc(row.since, row.complexity, row.summary).tips(row.tips)
        });
        check(ClusterSaveConfig, |row| {
            cluster::change(row.name, row.command, row.arity).doc(row.since, row.complexity, row.summary)
        });
        check(Asking, |row| {
            cluster::mood(row.name, row.command).flags(row.flags).doc(row.since, row.complexity, row.summary)
        });
    }
}
