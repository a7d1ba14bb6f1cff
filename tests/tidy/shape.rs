//! Rules about one file alone: `unsafe`, lengths, things left undone, introductions.

use crate::source::Source;

const FILE_LINES_MAX: usize = 500;
/// A function, from its `fn` to its last brace, has fewer.
const FUNCTION_LINES_END: usize = 70;
const UNSAFE_ROOMS: [&str; 2] = ["src/runtime/uring/", "src/keyspace/item.rs"];
/// How a folder introduces itself.
const INTRODUCTION: [&str; 4] = ["//! Owns", "//! Knows", "//! Must never know", "//! Read first:"];

fn has_word(code: &str, word: &str) -> bool {
    code.split(|c: char| !c.is_alphanumeric() && c != '_').any(|part| part == word)
}

/// `unsafe` only in its rooms, each block and each implementation under a comment that says why it is sound. A
/// function declared unsafe has its contract in its documentation instead.
pub fn unsafe_code(source: &Source) -> Vec<String> {
    let in_room = UNSAFE_ROOMS.iter().any(|room| source.name.starts_with(room));
    let mut complaints = Vec::new();
    for (line, code) in source.code.iter().enumerate() {
        if !in_room && (has_word(code, "unsafe") || code.contains("(unsafe_code")) {
            complaints.push(source.complaint(line, "unsafe has no room here"));
        }
        let opens = has_word(code, "unsafe") && !code.contains("unsafe fn") && !code.contains("unsafe extern");
        if in_room && opens && !says_why(source, line) {
            complaints.push(source.complaint(line, "unsafe without a SAFETY comment before it"));
        }
    }
    complaints
}

/// Whether the comment right above the statement that `line` is part of says `SAFETY:`.
fn says_why(source: &Source, line: usize) -> bool {
    let is_comment = |line: &usize| source.lines[*line].trim_start().starts_with("//");
    // The statement may have begun some lines above: `let x =` with the block on the next line.
    let begun = |line: &usize| !source.code[*line].trim_end().ends_with([';', '{', '}', ',']);
    let above =
        (0..line).rev().skip_while(|line| !is_comment(line) && begun(line) && !source.code[*line].trim().is_empty());
    above.take_while(is_comment).any(|line| source.lines[line].contains("SAFETY:"))
}

pub fn file_length(source: &Source) -> Vec<String> {
    let lines = source.lines.len();
    if lines <= FILE_LINES_MAX {
        return Vec::new();
    }
    vec![source.complaint(lines - 1, &format!("{lines} lines; {FILE_LINES_MAX} are enough for a file"))]
}

pub fn function_length(source: &Source) -> Vec<String> {
    let mut complaints = Vec::new();
    for (line, code) in source.code.iter().enumerate() {
        let (Some(at), true) = (code.find("fn "), is_declaration(code)) else { continue };
        let lines = source.block_end(line) - line;
        if lines >= FUNCTION_LINES_END {
            let name = code[at + 3..].split(['(', '<']).next().unwrap_or("");
            complaints.push(
                source.complaint(line, &format!("{name} has {lines} lines; under {FUNCTION_LINES_END} are enough")),
            );
        }
    }
    complaints
}

/// Whether a line declares a function: `fn` behind nothing but qualifiers.
fn is_declaration(code: &str) -> bool {
    let before = code.split("fn ").next().unwrap_or("");
    let words = ["pub", "crate", "super", "in", "const", "async", "unsafe", "extern"];
    before.split(|c: char| !c.is_alphanumeric() && c != '_').all(|word| word.is_empty() || words.contains(&word))
}

/// Nothing to be done later, no test switched off, no `unwrap` outside tests.
pub fn undone(source: &Source) -> Vec<String> {
    let under_test = source.under_test();
    let mut complaints = Vec::new();
    for (line, code) in source.code.iter().enumerate() {
        for left in [concat!("to", "do!"), concat!("unimple", "mented!"), concat!("#[ig", "nore")] {
            if code.contains(left) {
                complaints.push(source.complaint(line, &format!("{left} leaves something undone")));
            }
        }
        if source.name.starts_with("src/") && !under_test[line] && code.contains(".unwrap()") {
            complaints.push(source.complaint(line, "unwrap() says nothing; expect(\"why it holds\") does"));
        }
    }
    complaints
}

/// Every folder's `mod.rs` begins with its four lines, in this order.
pub fn introduction(source: &Source) -> Vec<String> {
    if !source.name.ends_with("/mod.rs") || source.is_test() {
        return Vec::new();
    }
    let head = source.lines.iter().take_while(|line| line.starts_with("//!"));
    let said: Vec<&str> =
        head.filter_map(|line| INTRODUCTION.into_iter().find(|start| line.starts_with(start))).collect();
    if said == INTRODUCTION {
        return Vec::new();
    }
    vec![source.complaint(0, &format!("opens with {said:?} instead of {INTRODUCTION:?}"))]
}

/// No file names a path that exists where it was written and nowhere else.
pub fn workplaces(name: &str, text: &str) -> Vec<String> {
    let places = [concat!("/wo", "rk/"), concat!("sha", "red/")];
    let mut complaints = Vec::new();
    for (line, text) in text.lines().enumerate() {
        for place in places {
            let names = text.match_indices(place).any(|(at, _)| {
                // A word that only ends so is another word.
                let before = text[..at].chars().next_back();
                before.is_none_or(|c| !c.is_alphanumeric() && c != '-' && c != '_')
            });
            if names {
                complaints.push(format!("{name}:{}: {place} is no place of this repository", line + 1));
            }
        }
    }
    complaints
}
