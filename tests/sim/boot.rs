//! The engines of a run, as the server makes them when it starts, and once more when it comes back.

use crate::faults::Fault;
use crate::scenario::Scenario;
use crate::turn::Core;
use coldplate::engine::{Engine, EngineOptions, Host, HostReport, Ledger, Settings};
use coldplate::keyspace::{EventClasses, ShardOptions};
use coldplate::routing::{SlotTable, slot_of};
use coldplate::types::CoreId;
use std::sync::Arc;

/// The machine as replies mention it: always the same one.
struct Nowhere;

impl Host for Nowhere {
    fn report(&self) -> HostReport {
        HostReport::default()
    }
    fn set_log_level(&self, _: &str) {}
}

pub struct House {
    pub cores: Vec<Core>,
    pub table: Arc<SlotTable>,
    pub ledger: Arc<Ledger>,
    /// `maxmemory`.
    pub max_bytes: u64,
}

impl House {
    pub fn new(scenario: &Scenario, seed: u64, hash_seed: [u64; 4], fault: Option<Fault>) -> House {
        let count = scenario.cores;
        let table = SlotTable::compile(count, 64, &vec![1.0; count]).expect("the cores have weights");
        let (table, ledger) = (Arc::new(table), Arc::new(Ledger::new(count)));
        let mut settings = settings(scenario);
        let engine = |core: usize, settings: &Settings| {
            Engine::new(EngineOptions {
                core: CoreId(core as u16),
                table: Arc::clone(&table),
                ledger: Arc::clone(&ledger),
                shard: ShardOptions { hash_seed, draw_seed: seed ^ core as u64, place: slot_of },
                settings: settings.clone(),
                host: Arc::new(Nowhere),
            })
        };
        if let Some(room_bytes) = scenario.room_bytes {
            let empty_bytes: usize = (0..count).map(|core| engine(core, &settings).used_bytes()).sum();
            settings.maxmemory_bytes = empty_bytes as u64 + room_bytes;
        }
        let max_bytes = settings.maxmemory_bytes;
        if fault == Some(Fault::NoLimit) {
            settings.maxmemory_bytes = 0;
        }
        let mut cores: Vec<Core> = (0..count).map(|core| Core::new(engine(core, &settings), count)).collect();
        for core in &mut cores {
            fault.into_iter().for_each(|fault| fault.plant(&mut core.engine));
        }
        House { cores, table, ledger, max_bytes }
    }
}

fn settings(scenario: &Scenario) -> Settings {
    let letters = if scenario.key_events { "KEA" } else { "" };
    Settings {
        fsync: scenario.fsync,
        maxmemory_policy: scenario.policy,
        client_output_bytes_max: scenario.client_output_bytes_max,
        client_waiting_bytes_max: scenario.client_waiting_bytes_max,
        letters_bytes_max: scenario.letters_bytes_max,
        hot: scenario.hot_settings(),
        requirepass: if scenario.password { b"secret".to_vec() } else { Vec::new() },
        upstreams: scenario.upstream.as_ref().map(|setup| Arc::new(setup.upstreams())),
        key_events: EventClasses::parse(letters).expect("these are letters of it"),
        ..Settings::default()
    }
}
