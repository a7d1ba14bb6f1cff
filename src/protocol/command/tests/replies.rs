//! What COMMAND answers, byte for byte where Redis's answer is the measure, in both protocol versions.
//!
//! Expectations are written with a space for each line end, which no text in them contains otherwise.

use super::{all, reply_to, with_args};
use crate::protocol::command::{Command, introspect, resolve, rows};
use crate::protocol::resp::Proto;

/// Stands in for the keyspace's glob: `*` at the end of a pattern matches the rest.
fn prefix_glob(pattern: &[u8], text: &[u8]) -> bool {
    match pattern.strip_suffix(b"*") {
        Some(prefix) => text.starts_with(prefix),
        None => pattern == text,
    }
}

fn answer(proto: Proto, request: &str) -> String {
    let words: Vec<&[u8]> = request.split(' ').map(str::as_bytes).collect();
    let out = with_args(&words, |args| {
        let spec = resolve(args).expect("the request is right");
        reply_to(proto, |reply| introspect::answer(spec.command, args, prefix_glob, reply))
    });
    String::from_utf8(out).expect("the table is text").replace("\r\n", " ").trim_end().to_owned()
}

#[test]
fn info_has_ten_facts() {
    let resp3 = "*1 *10 $3 get :2 ~2 +readonly +fast :1 :1 :1 ~3 +@read +@string +@fast ~0 ~1 %3 $5 flags ~2 +RO +access \
        $12 begin_search %2 $4 type $5 index $4 spec %1 $5 index :1 \
        $9 find_keys %2 $4 type $5 range $4 spec %3 $7 lastkey :0 $7 keystep :1 $5 limit :0 ~0";
    assert_eq!(answer(Proto::Resp3, "COMMAND INFO GET"), resp3);
    let resp2 = resp3.replace('~', "*").replace("%3", "*6").replace("%2", "*4").replace("%1", "*2");
    assert_eq!(answer(Proto::Resp2, "command info get"), resp2);
}

#[test]
fn info_counts_a_last_key_from_the_end_or_from_the_first() {
    let mset = answer(Proto::Resp3, "COMMAND INFO mset");
    assert!(mset.contains(" :1 :-1 :2 "), "{mset}");
    assert!(mset.contains("$7 lastkey :-1 $7 keystep :2"), "{mset}");
    let set = answer(Proto::Resp3, "COMMAND INFO set");
    assert!(set.contains("%4 $5 notes $48 RW and ACCESS due to the optional `GET` argument $5 flags"), "{set}");
}

#[test]
fn info_answers_each_name() {
    let found = answer(Proto::Resp3, "COMMAND INFO nosuch CLIENT|id client|nosuch");
    assert!(found.starts_with("*3 _ *10 $9 client|id :2 ~3 +noscript +loading +stale"), "{found}");
    assert!(found.ends_with(" _"), "{found}");
    assert_eq!(answer(Proto::Resp2, "COMMAND INFO nosuch"), "*1 $-1");
    assert_eq!(answer(Proto::Resp2, "COMMAND INFO"), answer(Proto::Resp2, "COMMAND"));
    assert!(answer(Proto::Resp3, "COMMAND INFO config").contains("~0 ~0 *5 *10 $10 config|get :-3"));
}

#[test]
fn count_leaves_subcommands_out() {
    assert_eq!(answer(Proto::Resp2, "COMMAND COUNT"), format!(":{}", rows().count()));
}

#[test]
fn list_filters() {
    assert!(answer(Proto::Resp3, "COMMAND LIST").starts_with(&format!("*{} $3 get $3 set ", all().count())));
    let cases = [
        ("FILTERBY PATTERN GETE*", "*1 $5 getex"),
        ("filterby pattern Client|GETN*", "*1 $14 client|getname"),
        ("FILTERBY ACLCAT list", "*0"),
        ("FILTERBY ACLCAT nosuch", "*0"),
        ("FILTERBY ACLCAT @read", "*0"),
        ("FILTERBY MODULE x", "*0"),
        ("FILTERBY", "-ERR syntax error"),
        ("FILTERBY NOSUCH x", "-ERR syntax error"),
        ("FILTERBY PATTERN a b", "-ERR syntax error"),
    ];
    for (filter, expected) in cases {
        assert_eq!(answer(Proto::Resp3, &format!("COMMAND LIST {filter}")), expected, "{filter}");
    }
    let dangerous = answer(Proto::Resp3, "COMMAND LIST FILTERBY ACLCAT DANGEROUS");
    assert!(dangerous.contains(" shutdown") && dangerous.contains(" keys") && !dangerous.contains(" get "));
}

#[test]
fn getkeys_finds_keys_or_says_why_not() {
    let cases = [
        ("GETKEYS MSET a 1 b 2", "*2 $1 a $1 b"),
        ("GETKEYS mset a 1 b", "*2 $1 a $1 b"),
        ("GETKEYS set k v ex", "*1 $1 k"),
        ("GETKEYS nosuch a", "-ERR Invalid command specified"),
        ("GETKEYS client nosuch", "-ERR Invalid command specified"),
        ("GETKEYS ping a", "-ERR The command has no key arguments"),
        ("GETKEYS client getname", "-ERR The command has no key arguments"),
        ("GETKEYS get a b", "-ERR Invalid number of arguments specified for command"),
        ("GETKEYSANDFLAGS mset a 1 b 2", "*2 *2 $1 a ~2 +OW +update *2 $1 b ~2 +OW +update"),
        ("GETKEYSANDFLAGS set a get", "*1 *2 $1 a ~2 +OW +update"),
        ("GETKEYSANDFLAGS set a 1 Get", "*1 *2 $1 a ~3 +RW +access +update"),
        ("GETKEYSANDFLAGS ttl a", "*1 *2 $1 a ~2 +RO +access"),
    ];
    for (request, expected) in cases {
        assert_eq!(answer(Proto::Resp3, &format!("COMMAND {request}")), expected, "{request}");
    }
}

#[test]
fn docs_document() {
    let getset = "%1 $6 getset %8 $7 summary $48 Set the value of a key and return the one before \
        $5 since $5 1.0.0 $5 group $6 string $10 complexity $4 O(1) $9 doc_flags ~1 +deprecated \
        $16 deprecated_since $5 6.2.0 $11 replaced_by $30 `SET` with the `!GET` argument \
        $9 arguments *2 %3 $4 name $3 key $4 type $3 key $14 key_spec_index :0 %2 $4 name $5 value $4 type $6 string";
    assert_eq!(answer(Proto::Resp3, "COMMAND DOCS GetSet nosuch"), getset);
    let resp2 = answer(Proto::Resp2, "COMMAND DOCS getset");
    assert!(resp2.starts_with("*2 $6 getset *16 $7 summary"), "{resp2}");
    assert_eq!(answer(Proto::Resp3, "COMMAND DOCS nosuch"), "%0");
    assert!(answer(Proto::Resp3, "COMMAND DOCS").starts_with(&format!("%{} $3 get ", rows().count())));
    assert!(answer(Proto::Resp3, "COMMAND DOCS cluster").contains("$11 subcommands %29 $12 cluster|info %4"));
}

#[test]
fn help_is_read_off_the_table() {
    let command = answer(Proto::Resp3, "COMMAND HELP");
    assert!(command.starts_with("*17 +COMMAND <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"), "{command}");
    assert!(command.contains("+INFO [<command-name> [<command-name> ...]] +    Describe the named commands, or each."));
    assert!(command.contains("+LIST [FILTERBY MODULE <module-name> | ACLCAT <category> | PATTERN <pattern>] "));
    let client = String::from_utf8(reply_to(Proto::Resp2, |reply| introspect::help(Command::Client, reply)))
        .expect("the table is text");
    assert!(client.contains("+REPLY <ON | OFF | SKIP>\r\n"), "{client}");
}
