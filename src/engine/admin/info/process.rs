//! The sections that Redis has about the process as a whole.

use super::super::connection::REDIS_VERSION;
use super::{InfoRequest, human};
use crate::engine::Stats;
use crate::engine::event::HostReport;
use crate::engine::pubsub::distinct;
use std::fmt::{Result, Write};

/// Writes fields, one a line.
macro_rules! fields {
    ($text:ident, $($name:literal: $value:expr),* $(,)?) => {{
        $( write!($text, concat!($name, ":{}\r\n"), $value)?; )*
        Ok(())
    }};
}

pub fn server(text: &mut String, request: &InfoRequest, rows: &[Stats], _: &Stats, host: &HostReport) -> Result {
    let uptime_s = request.now.mono_us.saturating_sub(host.started.mono_us) / 1_000_000;
    fields!(text,
        "redis_version": REDIS_VERSION,
        "coldplate_version": env!("CARGO_PKG_VERSION"),
        "redis_git_sha1": "00000000",
        "redis_git_dirty": 0,
        "redis_build_id": 0,
        "redis_mode": if request.cluster { "cluster" } else { "standalone" },
        "os": host.os,
        "arch_bits": 64,
        "monotonic_clock": "POSIX clock_gettime",
        "multiplexing_api": "io_uring",
        "process_id": host.process_id,
        "process_supervised": "no",
        "run_id": host.run_id,
        "tcp_port": host.port,
        "server_time_usec": request.now.unix_us,
        "uptime_in_seconds": uptime_s,
        "uptime_in_days": uptime_s / 86_400,
        "hz": 10,
        "configured_hz": 10,
        "lru_clock": (request.now.unix_us / 1_000_000) & 0xff_ffff,
        "cores": rows.len(),
        "asked_core": request.asked.0,
        "executable": host.executable,
        "config_file": host.config_file,
        "io_threads_active": 0,
    )
}

pub fn clients(text: &mut String, request: &InfoRequest, _: &[Stats], total: &Stats, _: &HostReport) -> Result {
    fields!(text,
        "connected_clients": total.connections,
        "cluster_connections": 0,
        "maxclients": request.maxclients,
        "blocked_clients": total.blocked,
        "tracking_clients": total.tracking_clients,
        "clients_in_timeout_table": total.blocked,
    )
}

pub fn memory(text: &mut String, request: &InfoRequest, _: &[Stats], total: &Stats, host: &HostReport) -> Result {
    let used = total.used_bytes;
    let (peak, overhead) = (total.peak_bytes, total.table_bytes + total.client_bytes);
    let dataset = used.saturating_sub(total.table_bytes);
    let percent = |part: u64, whole: u64| format!("{:.2}%", part as f64 * 100.0 / whole.max(1) as f64);
    let ratio = host.rss_bytes as f64 / used.max(1) as f64;
    fields!(text,
        "used_memory": used,
        "used_memory_human": human(used),
        "used_memory_rss": host.rss_bytes,
        "used_memory_rss_human": human(host.rss_bytes),
        "used_memory_peak": peak,
        "used_memory_peak_human": human(peak),
        "used_memory_peak_perc": percent(used, peak),
        "used_memory_peak_rss": host.peak_rss_bytes,
        "used_memory_overhead": overhead,
        "used_memory_startup": 0,
        "used_memory_dataset": dataset,
        "used_memory_dataset_perc": percent(dataset, used),
        "total_system_memory": host.system_memory_bytes,
        "total_system_memory_human": human(host.system_memory_bytes),
        "used_memory_lua": 0,
        "used_memory_lua_human": human(0),
        "used_memory_scripts": 0,
        "used_memory_scripts_human": human(0),
        "number_of_cached_scripts": 0,
        "number_of_functions": 0,
        "number_of_libraries": 0,
        "maxmemory": request.maxmemory_bytes,
        "maxmemory_human": human(request.maxmemory_bytes),
        "maxmemory_policy": request.maxmemory_policy,
        "mem_fragmentation_ratio": format_args!("{ratio:.2}"),
        "mem_fragmentation_bytes": host.rss_bytes as i64 - used as i64,
        "mem_not_counted_for_evict": 0,
        "mem_replication_backlog": 0,
        "mem_total_replication_buffers": 0,
        "mem_clients_slaves": 0,
        "mem_clients_normal": total.client_bytes,
        "mem_cluster_links": 0,
        "mem_aof_buffer": 0,
        "mem_allocator": "mimalloc",
        "active_defrag_running": 0,
        "lazyfree_pending_objects": 0,
        "lazyfreed_objects": 0,
    )
}

pub fn persistence(text: &mut String, request: &InfoRequest, _: &[Stats], total: &Stats, host: &HostReport) -> Result {
    fields!(text,
        "loading": u8::from(total.logs_loading > 0),
        "async_loading": 0,
        "current_cow_peak": 0,
        "current_cow_size": 0,
        "current_cow_size_age": 0,
        "current_fork_perc": "0.00",
        "current_save_keys_processed": 0,
        "current_save_keys_total": 0,
        "rdb_changes_since_last_save": total.changes as i64,
        "rdb_bgsave_in_progress": 0,
        "rdb_last_save_time": host.started.unix_us / 1_000_000,
        "rdb_last_bgsave_status": "ok",
        "rdb_last_bgsave_time_sec": -1,
        "rdb_current_bgsave_time_sec": -1,
        "rdb_saves": 0,
        "rdb_last_cow_size": 0,
        "rdb_last_load_keys_expired": 0,
        "rdb_last_load_keys_loaded": 0,
        "aof_enabled": u8::from(total.logs > 0),
        "aof_rewrite_in_progress": u8::from(total.logs_rewriting > 0),
        "aof_rewrite_scheduled": 0,
        "aof_last_rewrite_time_sec": -1,
        "aof_current_rewrite_time_sec": -1,
        "aof_last_bgrewrite_status": "ok",
        "aof_rewrites": 0,
        "aof_rewrites_consecutive_failures": 0,
        "aof_last_write_status": if total.logs_failed > 0 { "err" } else { "ok" },
        "aof_last_cow_size": 0,
        "module_fork_in_progress": 0,
        "module_fork_last_cow_size": 0,
    )?;
    if total.logs > 0 {
        fields!(text,
            "aof_current_size": total.log_disk_bytes,
            "log_frames": total.log_frames,
            "log_bytes": total.log_bytes,
            "log_syncs": total.log_syncs,
            "log_cores_refusing_writes": total.logs_failed,
            "log_loaded_keys": total.loaded,
            "log_loaded_keys_expired": total.loaded_expired,
        )?;
    }
    if total.logs_loading > 0 {
        let (progress, began_s) = (request.loading, host.started.unix_us / 1_000_000);
        let elapsed_s = (request.now.unix_us / 1_000_000).saturating_sub(began_s);
        fields!(text,
            "loading_start_time": began_s,
            "loading_total_bytes": progress.total_bytes,
            "loading_rdb_used_mem": 0,
            "loading_loaded_bytes": progress.loaded_bytes,
            "loading_loaded_perc": format_args!("{:.2}", progress.percent()),
            "loading_eta_seconds": progress.eta_s(elapsed_s),
        )?;
    }
    Ok(())
}

pub fn stats(text: &mut String, request: &InfoRequest, _: &[Stats], total: &Stats, _: &HostReport) -> Result {
    let [channels, patterns, shard_channels] = request.listened.clone().map(distinct);
    let kilobytes = |bytes: u64| format!("{:.2}", bytes as f64 / 1024.0);
    fields!(text,
        "total_connections_received": total.connections_opened,
        "total_commands_processed": total.commands,
        "instantaneous_ops_per_sec": total.commands_rate,
        "total_net_input_bytes": total.input_bytes,
        "total_net_output_bytes": total.output_bytes,
        "total_net_repl_input_bytes": 0,
        "total_net_repl_output_bytes": 0,
        "instantaneous_input_kbps": kilobytes(total.input_rate),
        "instantaneous_output_kbps": kilobytes(total.output_rate),
        "instantaneous_input_repl_kbps": "0.00",
        "instantaneous_output_repl_kbps": "0.00",
        "rejected_connections": total.connections_refused,
        "sync_full": 0,
        "sync_partial_ok": 0,
        "sync_partial_err": 0,
        "expired_keys": total.expired,
        "expired_stale_perc": "0.00",
        "expired_time_cap_reached_count": 0,
        "evicted_keys": total.evicted,
        "evicted_clients": total.clients_evicted,
        "total_eviction_exceeded_time": 0,
        "current_eviction_exceeded_time": 0,
        "keyspace_hits": total.hits,
        "keyspace_misses": total.misses,
        "pubsub_channels": channels,
        "pubsub_patterns": patterns,
        "pubsubshard_channels": shard_channels,
        "latest_fork_usec": 0,
        "total_forks": 0,
        "migrate_cached_sockets": 0,
        "slave_expires_tracked_keys": 0,
        "active_defrag_hits": 0,
        "active_defrag_misses": 0,
        "active_defrag_key_hits": 0,
        "active_defrag_key_misses": 0,
        "total_active_defrag_time": 0,
        "current_active_defrag_time": 0,
        "tracking_total_keys": total.tracked_keys,
        "tracking_total_items": total.tracked_items,
        "tracking_total_prefixes": total.tracked_prefixes,
        "unexpected_error_replies": 0,
        "total_error_replies": total.errors,
        "dump_payload_sanitizations": 0,
        "total_reads_processed": total.receives,
        "total_writes_processed": total.sends,
        "io_threaded_reads_processed": 0,
        "io_threaded_writes_processed": 0,
        "reply_buffer_shrinks": 0,
        "reply_buffer_expands": 0,
        "io_uring_enters": total.enters,
        "letters_sent": total.letters_sent,
        "letters_served": total.letters_served,
    )
}

/// The run's own number stands for the replication's: both are new at each start, and nobody replicates. Each change
/// makes another one of it.
fn replication_id(run_id: &str, changes: u64) -> String {
    let mut mix = changes;
    let digit = |c: char| {
        mix = mix.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ mix >> 29;
        let value = c.to_digit(16).unwrap_or(0) ^ (mix >> 60) as u32;
        char::from_digit(value, 16).expect("four bits are a digit")
    };
    run_id.chars().map(digit).collect()
}

pub fn replication(text: &mut String, request: &InfoRequest, _: &[Stats], _: &Stats, host: &HostReport) -> Result {
    let id = replication_id(&host.run_id, request.replication_changes);
    fields!(text,
        "role": "master",
        "connected_slaves": 0,
        "master_failover_state": "no-failover",
        "master_replid": id,
        "master_replid2": "0".repeat(40),
        "master_repl_offset": 0,
        "second_repl_offset": -1,
        "repl_backlog_active": 0,
        "repl_backlog_size": 0,
        "repl_backlog_first_byte_offset": 0,
        "repl_backlog_histlen": 0,
    )
}

pub fn cpu(text: &mut String, _: &InfoRequest, _: &[Stats], _: &Stats, host: &HostReport) -> Result {
    let seconds = |us: u64| format!("{:.6}", us as f64 / 1e6);
    fields!(text,
        "used_cpu_sys": seconds(host.cpu_system_us),
        "used_cpu_user": seconds(host.cpu_user_us),
        "used_cpu_sys_children": seconds(0),
        "used_cpu_user_children": seconds(0),
    )
}

pub fn modules(_: &mut String, _: &InfoRequest, _: &[Stats], _: &Stats, _: &HostReport) -> Result {
    Ok(())
}

pub fn cluster(text: &mut String, request: &InfoRequest, _: &[Stats], _: &Stats, _: &HostReport) -> Result {
    // A router answers CLUSTER, and old clients of clusters look here before they ask.
    fields!(text, "cluster_enabled": u8::from(request.cluster || !request.servers.is_empty()))
}

pub fn keyspace(text: &mut String, request: &InfoRequest, rows: &[Stats], total: &Stats, _: &HostReport) -> Result {
    // Of a node, tools ask for its own keys, and add the nodes up.
    let total = if request.node { &rows[request.asked.index()] } else { total };
    if total.keys == 0 {
        return Ok(());
    }
    write!(text, "db0:keys={},expires={},avg_ttl=0\r\n", total.keys, total.expiring)
}
