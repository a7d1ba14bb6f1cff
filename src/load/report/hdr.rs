//! Histogram files: percentiles to be plotted, and HdrHistogram's log format for its own tools.

use std::path::PathBuf;
use std::time::Duration;

use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::IntervalLogWriterBuilder;

use super::{Run, save};
use crate::load::error::LoadError;
use crate::load::options::Options;
use crate::load::tally::Row;

const STEPS_PER_HALVING: u32 = 10;
/// Sub-buckets of a histogram of three digits.
const SUB_BUCKETS: u32 = 2_048;

/// Two files for the whole run and two for each command, if a prefix was given.
pub fn write(options: &Options, run: u32, result: &Run) -> Result<(), LoadError> {
    let Some(prefix) = &options.output.hdr_prefix else { return Ok(()) };
    let names = options.row_names();
    let rows =
        names.iter().zip(&result.rows).map(|(name, row)| (format!("{name}_command_run_{run}"), name.clone(), row));
    let totals = result.totals();
    let whole = (format!("FULL_RUN_{run}"), "Full Run".to_owned(), &totals);
    for (file, title, row) in [whole].into_iter().chain(rows).filter(|(_, _, row)| !row.latencies.is_empty()) {
        let path = |end: &str| PathBuf::from(format!("{prefix}_{file}.{end}"));
        eprintln!("Writing {title} latency histogram to {} and .hgrm...", path("txt").display());
        save(&path("txt"), percentiles(row).as_bytes())?;
        let log = log(row, result, &title).map_err(|source| LoadError::Write { path: path("hgrm"), source })?;
        save(&path("hgrm"), &log)?;
    }
    Ok(())
}

/// HdrHistogram's classic listing, in milliseconds.
pub(super) fn percentiles(row: &Row) -> String {
    let histogram = &row.latencies;
    let mut text = format!("{:>12} {:>12} {:>12} {:>12}\n\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)");
    let mut count = 0;
    for step in histogram.iter_quantiles(STEPS_PER_HALVING) {
        count += step.count_since_last_iteration();
        let quantile = step.quantile_iterated_to();
        let value_ms = histogram.highest_equivalent(step.value_iterated_to()) as f64 / 1_000.0;
        let inverse = if quantile < 1.0 { format!("{:.2}", 1.0 / (1.0 - quantile)) } else { "inf".to_owned() };
        text.push_str(&format!("{value_ms:12.3} {quantile:12.6} {count:12} {inverse:>12}\n"));
    }
    let (mean, deviation) = (histogram.mean() / 1_000.0, histogram.stdev() / 1_000.0);
    let (max, total, buckets) = (histogram.max() as f64 / 1_000.0, histogram.len(), histogram.buckets());
    text.push_str(&format!("#[Mean    = {mean:12.3}, StdDeviation   = {deviation:12.3}]\n"));
    text.push_str(&format!("#[Max     = {max:12.3}, Total count    = {total:12}]\n"));
    text.push_str(&format!("#[Buckets = {buckets:12}, SubBuckets     = {SUB_BUCKETS:12}]\n"));
    text
}

/// The log of one interval, the run; values are microseconds.
fn log(row: &Row, result: &Run, title: &str) -> std::io::Result<Vec<u8>> {
    let (mut bytes, mut serializer) = (Vec::new(), V2DeflateSerializer::new());
    let mut writer = IntervalLogWriterBuilder::new()
        .add_comment(&format!("{title} latency histogram, in microseconds"))
        .with_start_time(result.started)
        .with_max_value_divisor(1_000.0)
        .begin_log_with(&mut bytes, &mut serializer)?;
    let written = writer.write_histogram(&row.latencies, Duration::ZERO, result.elapsed, None);
    written.map_err(|error| std::io::Error::other(format!("{error:?}")))?;
    drop(writer);
    Ok(bytes)
}
