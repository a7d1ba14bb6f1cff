//! `--print-config`: the effective configuration as TOML that explains itself and loads back to the same values.

use std::fmt::Write as _;

use super::kind::Kind;
use super::parameter::Parameter;
use super::table::{self, SECTIONS};
use super::upstream::{ROUTES, UPSTREAMS};
use super::{Loaded, Place, hot};

/// Columns that comments are wrapped at.
const WIDTH: usize = 100;

/// The text of the whole configuration. A secret is not printed: a comment says whether it is set.
pub fn print(loaded: &Loaded) -> String {
    let mut out = String::from(
        "# The configuration of Coldplate, as `coldplate --print-config` prints it.\n\
         # A value on the command line wins over one in this file, and this file over a profile.\n",
    );
    for (name, why) in SECTIONS {
        let _ = write!(out, "\n# {why}\n[{name}]\n");
        for parameter in table::section(name) {
            out.push('\n');
            row(&mut out, parameter, loaded);
        }
        if *name == hot::SECTION {
            hot::ARRAY.print(&mut out, &loaded.config.hot.policies, &loaded.origins.policies);
        }
    }
    UPSTREAMS.print(&mut out, &loaded.config.upstreams, &loaded.origins.upstreams);
    ROUTES.print(&mut out, &loaded.config.routes, &loaded.origins.routes);
    out
}

fn row(out: &mut String, parameter: &Parameter, loaded: &Loaded) {
    comment(out, parameter.why);
    comment(out, &facts(parameter, &format!("flag: --{}", parameter.flag)));
    let origin = loaded.origins.of(parameter);
    if *origin != Place::Default {
        comment(out, &format!("Set by: {origin}."));
    }
    let value = parameter.get(&loaded.config);
    if parameter.kind == Kind::Secret && loaded.config.security.requirepass.is_some() {
        let _ = writeln!(out, "# {} is set, and not shown.", parameter.key);
    } else {
        let _ = writeln!(out, "{} = {}", parameter.key, parameter.kind.print_toml(&value));
    }
}

/// What the help and the printed file both say of a row; `place` says where else it can be set.
pub fn facts(parameter: &Parameter, place: &str) -> String {
    let default = if parameter.default.is_empty() { "none" } else { parameter.default };
    let live = if parameter.live { "; CONFIG SET changes it while running" } else { "" };
    format!("Allowed: {}; default: {default}; {place}{live}.", parameter.allowed())
}

/// Breaks text at blanks into lines of at most `width` columns; a longer word has a line of its own.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

pub(super) fn comment(out: &mut String, text: &str) {
    for line in wrap(text, WIDTH - 2) {
        let _ = writeln!(out, "# {line}");
    }
}
