//! The log: lines on standard error, where systemd and terminals expect them.

use log::LevelFilter;

/// Starts logging from this level on.
pub fn start(level: LevelFilter) {
    // The filter is left wide open and the global level decides, so that CONFIG SET can change it.
    let started = env_logger::Builder::new().filter_level(LevelFilter::Trace).try_init();
    if started.is_ok() {
        log::set_max_level(level);
    }
}

/// Applies a level under one of Redis's names.
pub fn set_level(name: &str) {
    log::set_max_level(match name {
        "debug" => LevelFilter::Debug,
        "verbose" | "notice" => LevelFilter::Info,
        _ => LevelFilter::Warn,
    });
}

/// Redis's name for a level.
pub fn redis_name(level: LevelFilter) -> &'static str {
    match level {
        LevelFilter::Trace | LevelFilter::Debug => "debug",
        LevelFilter::Info => "notice",
        _ => "warning",
    }
}
