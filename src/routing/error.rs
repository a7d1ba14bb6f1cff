//! Everything that can be wrong with a placement that somebody asked for.

use thiserror::Error;

/// A ring or table that cannot be built as asked; each variant carries the value that a message needs.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum RoutingError {
    /// Slots cannot be placed on nothing.
    #[error("a ring needs at least one node")]
    NoNodes,
    /// A node without points would own nothing and never be found again.
    #[error("virtual nodes per unit of weight must be at least 1")]
    NoVnodes,
    /// Weights are finite and above zero; a node that should own nothing is left out instead.
    #[error("weight of `{name}` is {weight}; allowed: above 0 and finite")]
    InvalidWeight { name: String, weight: f64 },
    /// Names seed the points, so two nodes of one name would stand on the same places.
    #[error("node `{name}` is on the ring already")]
    DuplicateNode { name: String },
    /// Memory and compile time grow with the points; see [`POINTS_MAX`](super::POINTS_MAX).
    #[error("`{name}` would bring the ring to {points} points; allowed: {points_max}")]
    TooManyPoints { name: String, points: usize, points_max: usize },
    /// Weights are given for every core or for none.
    #[error("{weights} weights for {cores} cores; give one a core, or none")]
    WeightCount { weights: usize, cores: usize },
    /// A core number must fit the letters that carry it.
    #[error("{cores} cores; allowed: {cores_max}")]
    TooManyCores { cores: usize, cores_max: usize },
    /// Slack is how far past its share a core may go: 0.02 is 2 %, infinity is no bound.
    #[error("slack is {slack}; allowed: 0 and above")]
    InvalidSlack { slack: f64 },
    /// A pool without servers, or none of whose servers may be used.
    #[error("a pool needs at least one server")]
    NoServers,
    /// Servers are numbered in 16 bits, and tables grow with them.
    #[error("{servers} servers; allowed: {servers_max}")]
    TooManyServers { servers: usize, servers_max: usize },
    /// Weights of servers are whole numbers, as in the pools that they are compatible with.
    #[error("weight of `{name}` is {weight}; allowed: 1 to {weight_max}")]
    ServerWeight { name: String, weight: u32, weight_max: u32 },
    /// Points on a ring grow with weights.
    #[error("weights of {weight} together; allowed: {weight_max}")]
    TooMuchWeight { weight: u32, weight_max: u32 },
    /// Names decide where keys lie, so two servers of one name could not be told apart.
    #[error("server `{name}` is in the pool already")]
    DuplicateServer { name: String },
}
