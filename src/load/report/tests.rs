//! Proves the report letter by letter, over counts made up here.

use std::time::UNIX_EPOCH;

use super::*;
use crate::load::command::Command;
use crate::load::tally::{Tally, Timeline, Verdict};

fn options() -> Options {
    Options::example()
}

/// Two SETs of 1 and 3 ms and ten GETs of 2 ms, eight of them hits, in two seconds.
fn result() -> Run {
    let mut tally = Tally::new(2);
    tally.begin(3_000_000);
    tally.reply(0, 2_000_000, (512, 5), Verdict::Plain);
    tally.reply(0, 0, (512, 5), Verdict::Plain);
    for get in 0..10 {
        let verdict = if get < 8 { Verdict::Hit } else { Verdict::Miss };
        tally.reply(1, 1_000_000, (100, 412), verdict);
    }
    tally.errors.take(b"ERR no");
    let mut timeline = Timeline::new(1, vec![50.0, 99.9]);
    timeline.add(tally.end_second());
    timeline.finish();
    Run {
        rows: tally.rows,
        seconds: timeline.seconds,
        started: UNIX_EPOCH + Duration::from_millis(1_500),
        elapsed: Duration::from_secs(2),
        errors: tally.errors,
        connection_errors: 0,
        lost: 0,
        overdue: 0,
        interrupted: false,
        cost: Cost::Measured { pids: vec![42], cpu_us: 10_000 },
    }
}

#[test]
fn the_table_is_memtiers() {
    let expected = "

ALL STATS
============================================================================================================
Type         Ops/sec     Hits/sec   Misses/sec    Avg. Latency     p50 Latency   p99.9 Latency       KB/sec
------------------------------------------------------------------------------------------------------------
Sets            1.00          ---          ---         2.00000         1.00000         3.00100         0.50
Gets            5.00         4.00         1.00         2.00000         2.00000         2.00000         2.50
Waits           0.00          ---          ---             ---             ---             ---          ---
Totals          6.00         4.00         1.00         2.00000         2.00000         3.00100         3.00

Server CPU: 833.333 us per operation, 0 % of one CPU (process 42)
Errors: 1 of 12 replies: ERR no


Request Latency Distribution
Type     <= msec         Percent
------------------------------------------------------------------------
SET       1.000        0.000
SET       1.000        5.000
SET       1.000       10.000
SET       1.000       15.000
SET       1.000       20.000
SET       1.000       25.000
SET       1.000       30.000
SET       1.000       35.000
SET       1.000       40.000
SET       1.000       45.000
SET       1.000       50.000
SET       3.001       52.500
SET       3.001      100.000
---
GET       2.000        0.000
GET       2.000      100.000
---
";
    let text = table::print(&options(), "ALL STATS", &result());
    assert_eq!(text, expected, "got:\n{text}");
}

#[test]
fn own_commands_have_rows_of_their_own() {
    let mut options = options();
    (options.set_get, options.cluster, options.output.hide_histogram) = (false, true, true);
    options.commands = ["incr __key__", "lpush __key__ x"]
        .iter()
        .enumerate()
        .map(|(row, line)| Command::from_line(line, row).expect("a good line"))
        .collect();
    let result = Run {
        cost: Cost::Unknown("it is elsewhere".into()),
        connection_errors: 3,
        lost: 4,
        interrupted: true,
        errors: Errors::default(),
        ..result()
    };
    let head =
        "Type         Ops/sec    MOVED/sec      ASK/sec    Avg. Latency     p50 Latency   p99.9 Latency       KB/sec";
    let text = table::print(&options, "ALL STATS", &result);
    assert!(text.contains("Incrs           1.00         0.00         0.00"), "got:\n{text}");
    assert!(text.contains("\nLpushs"), "got:\n{text}");
    assert!(!text.contains("Waits") && !text.contains("Hits"), "got:\n{text}");
    assert_eq!(text.lines().nth(4), Some(head));
    let remarks = "\n\nServer CPU: not measured: it is elsewhere\nConnection errors: 3, with 4 requests unanswered\n\
                   Interrupted: the figures are of what was done until then\n";
    assert!(text.ends_with(remarks), "got:\n{text}");
}

#[test]
fn json_has_what_memtiers_readers_look_for() {
    let text = json::print(&options(), &[("ALL STATS".to_owned(), result())]);
    let root: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(root["run information"]["Requests per client"], 6);
    let configuration = &root["configuration"];
    assert_eq!((&configuration["ratio"], &configuration["key_pattern"]), (&"1:10".into(), &"R:R".into()));
    assert_eq!(configuration["data_size"], 32);
    let stats = &root["ALL STATS"];
    assert_eq!(stats["Runtime"]["Start time"], 1_500);
    assert_eq!(stats["Runtime"]["Total duration"], 2_000);
    assert_eq!(stats["Errors"]["Kinds"]["ERR no"]["Count"], 1);
    assert_eq!(stats["Server"]["CPU usec per operation"], 833.3333);
    let gets = &stats["Gets"];
    for (name, value) in
        [("Ops/sec", 5.0), ("Hits/sec", 4.0), ("Misses/sec", 1.0), ("Average Latency", 2.0), ("KB/sec", 2.5)]
    {
        assert_eq!(gets[name], value, "{name}");
    }
    assert_eq!(gets["Count"], 10);
    assert_eq!(gets["Time-Serie"]["0"]["Count"], 10);
    assert_eq!(gets["Percentile Latencies"]["p50.000"], 2.0);
    let encoded = gets["Percentile Latencies"]["Histogram log format"]["Compressed Histogram"].as_str().expect("text");
    assert!(encoded.starts_with("HISTF"), "{encoded}");
    assert_eq!(stats["Totals"]["Time-Serie"]["0"]["Count"], 12);
    assert_eq!(stats["SET"].as_array().map(Vec::len), Some(13));
    assert_eq!(stats["SET"][12], serde_json::json!({ "<=msec": 3.001, "percent": 100.0 }));
    let order: Vec<&String> = stats.as_object().expect("a map").keys().collect();
    assert_eq!(order[..7], ["Runtime", "Server", "Errors", "Sets", "Gets", "Waits", "Totals"]);
}

#[test]
fn several_runs_have_a_best_a_worst_and_an_average() {
    let slow = Run { elapsed: Duration::from_secs(4), ..result() };
    let sections = sections(&options(), &[slow, result()]);
    let rates: Vec<(&str, f64)> =
        sections.iter().map(|(title, result)| (title.as_str(), result.ops_per_sec())).collect();
    let expected =
        [("BEST RUN RESULTS", 6.0), ("WORST RUN RESULTS", 3.0), ("AGGREGATED AVERAGE RESULTS (2 runs)", 4.0)];
    assert_eq!(rates, expected);
    let mut all = options();
    all.output.print_all_runs = true;
    assert_eq!(super::sections(&all, &[result(), result()]).len(), 5);
}

#[test]
fn percentile_files_end_at_the_whole() {
    let text = hdr::percentiles(&result().totals());
    assert!(text.starts_with("       Value   Percentile   TotalCount 1/(1-Percentile)\n\n"), "{text}");
    assert!(text.contains("     3.001     1.000000           12          inf\n"), "{text}");
    assert!(text.contains("#[Mean    =        2.000, StdDeviation   ="), "{text}");
}
