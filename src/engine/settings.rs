//! What CONFIG SET can change, under Redis's names, and what CONFIG GET shows besides.
//!
//! Each core has its own copy; CONFIG SET is checked where it arrives and then applied on every core.

use crate::keyspace::Policy;

/// The settings of one core that can change while it runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Bytes that the keys of all cores may take; 0 for no limit.
    pub maxmemory_bytes: u64,
    pub maxmemory_policy: Policy,
    pub maxmemory_samples: usize,
    /// Empty for none.
    pub requirepass: Vec<u8>,
    pub maxclients: u64,
    /// A client idle for so many seconds is closed; 0 for never.
    pub timeout_s: u64,
    /// Past so many bytes of replies that nobody reads, a client's requests wait.
    pub client_output_bytes_max: usize,
    /// Past so many bytes of requests that wait, nothing more is received from the client.
    pub client_waiting_bytes_max: usize,
    /// An incomplete request may not be longer.
    pub client_query_bytes_max: usize,
    pub proto_max_bulk_bytes: usize,
    pub log_level: String,
    /// What CONFIG GET shows and CONFIG SET refuses to change: name and value, as Redis prints it.
    pub fixed: Vec<(String, String)>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            maxmemory_bytes: 0,
            maxmemory_policy: Policy::NoEviction,
            maxmemory_samples: 5,
            requirepass: Vec::new(),
            maxclients: 10_000,
            timeout_s: 0,
            client_output_bytes_max: 1 << 20,
            client_waiting_bytes_max: 64 << 20,
            client_query_bytes_max: 1 << 30,
            proto_max_bulk_bytes: crate::types::VALUE_BYTES_MAX,
            log_level: "notice".to_string(),
            fixed: Vec::new(),
        }
    }
}

/// Why a setting was refused; the text behind CONFIG SET's error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    #[error("ERR Unknown option or number of arguments for CONFIG SET - '{0}'")]
    Unknown(String),
    #[error("ERR CONFIG SET failed (possibly related to argument '{0}') - can't set immutable config")]
    Immutable(String),
    #[error("ERR CONFIG SET failed (possibly related to argument '{name}') - {reason}")]
    Invalid { name: String, reason: String },
}

const LOG_LEVELS: [&str; 4] = ["debug", "verbose", "notice", "warning"];

impl Settings {
    /// Every name with its value, in order of names.
    pub fn all(&self) -> Vec<(&str, String)> {
        let mut all: Vec<(&str, String)> = vec![
            ("maxmemory", self.maxmemory_bytes.to_string()),
            ("maxmemory-policy", self.maxmemory_policy.name().to_string()),
            ("maxmemory-samples", self.maxmemory_samples.to_string()),
            ("requirepass", String::from_utf8_lossy(&self.requirepass).into_owned()),
            ("maxclients", self.maxclients.to_string()),
            ("timeout", self.timeout_s.to_string()),
            ("client-query-buffer-limit", self.client_query_bytes_max.to_string()),
            ("proto-max-bulk-len", self.proto_max_bulk_bytes.to_string()),
            ("loglevel", self.log_level.clone()),
            ("client-output-bytes-max", self.client_output_bytes_max.to_string()),
            ("client-waiting-bytes-max", self.client_waiting_bytes_max.to_string()),
        ];
        let live: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
        all.extend(
            self.fixed
                .iter()
                .filter(|(name, _)| !live.contains(&name.as_str()))
                .map(|(name, value)| (name.as_str(), value.clone())),
        );
        all.sort_unstable();
        all
    }

    /// Changes one setting. A fixed one may be set to the value that it has, as scripts do.
    pub fn set(&mut self, name: &[u8], value: &[u8]) -> Result<(), SettingError> {
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        let text = String::from_utf8_lossy(value).into_owned();
        let invalid = |reason: &str| SettingError::Invalid { name: name.clone(), reason: reason.to_string() };
        let number = |low: u64, high: u64| match text.parse::<u64>() {
            Ok(number) if (low..=high).contains(&number) => Ok(number),
            Ok(_) => Err(invalid(&format!("argument must be between {low} and {high} inclusive"))),
            Err(_) => Err(invalid("argument couldn't be parsed into an integer")),
        };
        let bytes = |low: u64, high: u64| match parse_bytes(&text) {
            Some(bytes) if (low..=high).contains(&bytes) => Ok(bytes),
            Some(_) => Err(invalid(&format!("argument must be between {low} and {high} inclusive"))),
            None => Err(invalid("argument must be a memory value")),
        };
        match name.as_str() {
            "maxmemory" => self.maxmemory_bytes = bytes(0, u64::MAX)?,
            "maxmemory-policy" => {
                let names = Policy::ALL.map(|(name, _)| name).join(", ");
                let policy = Policy::parse(&text);
                self.maxmemory_policy =
                    policy.ok_or_else(|| invalid(&format!("argument(s) must be one of the following: {names}")))?;
            }
            "maxmemory-samples" => self.maxmemory_samples = number(1, 64)? as usize,
            "requirepass" => self.requirepass = value.to_vec(),
            "maxclients" => self.maxclients = number(1, u64::from(u32::MAX))?,
            "timeout" => self.timeout_s = number(0, i32::MAX as u64)?,
            "client-query-buffer-limit" => self.client_query_bytes_max = bytes(1 << 20, i64::MAX as u64)? as usize,
            "proto-max-bulk-len" => {
                self.proto_max_bulk_bytes = bytes(1 << 20, crate::types::VALUE_BYTES_MAX as u64)? as usize;
            }
            "client-output-bytes-max" => self.client_output_bytes_max = bytes(1 << 12, 1 << 40)? as usize,
            "client-waiting-bytes-max" => self.client_waiting_bytes_max = bytes(1 << 12, 1 << 40)? as usize,
            "loglevel" if LOG_LEVELS.contains(&text.as_str()) => self.log_level = text,
            "loglevel" => {
                return Err(invalid(&format!("argument(s) must be one of the following: {}", LOG_LEVELS.join(", "))));
            }
            _ => match self.fixed.iter().find(|(fixed, _)| *fixed == name) {
                Some((_, current)) if *current == text => {}
                Some(_) => return Err(SettingError::Immutable(name)),
                None => return Err(SettingError::Unknown(name)),
            },
        }
        Ok(())
    }
}

/// Bytes under Redis's units: `k`, `m`, `g` are powers of 1000, `kb`, `mb`, `gb` of 1024.
fn parse_bytes(text: &str) -> Option<u64> {
    let text = text.to_ascii_lowercase();
    let digits_end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let unit = match &text[digits_end..] {
        "" | "b" => 1,
        "k" => 1000,
        "kb" => 1 << 10,
        "m" => 1_000_000,
        "mb" => 1 << 20,
        "g" => 1_000_000_000,
        "gb" => 1 << 30,
        _ => return None,
    };
    text[..digits_end].parse::<u64>().ok()?.checked_mul(unit)
}
