//! What commands did: how often they ran and failed, with which errors, and how long they took (`engine/durations.rs`).

use super::InfoRequest;
use crate::engine::Stats;
use crate::engine::event::HostReport;
use crate::protocol::command::spec;
use std::fmt::Write;

pub fn counts(text: &mut String, request: &InfoRequest, _: &[Stats], _: &Stats, _: &HostReport) -> std::fmt::Result {
    for (command, row) in request.census.rows() {
        // While cores answer one after the other, a refusal can be seen before what it takes back.
        let calls = (row.calls as i64).max(0);
        let us = row.ns as f64 / 1000.0;
        write!(
            text,
            "cmdstat_{}:calls={calls},usec={us:.0},usec_per_call={:.2},rejected_calls={},failed_calls={}\r\n",
            spec(command).name,
            if calls == 0 { 0.0 } else { us / calls as f64 },
            row.rejected,
            row.failed,
        )?;
    }
    Ok(())
}

pub fn errors(text: &mut String, request: &InfoRequest, _: &[Stats], _: &Stats, _: &HostReport) -> std::fmt::Result {
    for (word, count) in request.census.words() {
        let word: String = word.escape_ascii().to_string().replace([':', '='], "_");
        write!(text, "errorstat_{word}:count={count}\r\n")?;
    }
    Ok(())
}

pub fn percentiles(
    text: &mut String,
    request: &InfoRequest,
    _: &[Stats],
    _: &Stats,
    _: &HostReport,
) -> std::fmt::Result {
    for (command, histogram) in request.census.durations() {
        write!(text, "latency_percentiles_usec_{}:", spec(command).name)?;
        for (at, (percent, name)) in request.percentiles.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(text, "{comma}p{name}={:.3}", histogram.percentile_us(percent))?;
        }
        text.write_str("\r\n")?;
    }
    Ok(())
}
