"""What must hold of the model's rows whatever the costs are, and for each law a fault that it must notice."""

from model import CORES, STRATEGIES, TRAFFIC

CLOSE = 1e-3


def one_core_is_one_core(rows, _costs):
    """On one core every strategy gives the same."""
    for traffic in TRAFFIC:
        rates = [rows[traffic.name, strategy, 1]["ops_s"] for strategy in STRATEGIES]
        if max(rates) > min(rates) * (1 + CLOSE):
            yield f"{traffic.name}: {rates}"


def hashing_is_bound_by_the_owner(rows, costs):
    """One key by hashing alone: its owner executes every operation, and takes a letter for all but its own."""
    for traffic in TRAFFIC:
        for cores in CORES if traffic.zipf is None else ():
            most = 1e6 / (costs.execute + (1 - 1 / cores) * costs.letter_serve)
            found = rows[traffic.name, "hashing", cores]["ops_s"]
            if found > most * (1 + CLOSE):
                yield f"{traffic.name}, {cores} cores: {found:,.0f} > {most:,.0f}"


def replicas_read_evenly(rows, costs):
    """Coldplate, one key, GET only: no core does more than another, but for what a replica hit costs more or less."""
    owner, other = costs.network + costs.execute, costs.network + costs.replica_hit
    for cores in CORES:
        even = max(owner, other if cores > 1 else owner) * cores / (owner + (cores - 1) * other)
        found = rows["single-get", "coldplate", cores]["skew"]
        if abs(found / even - 1.0) > CLOSE:
            yield f"{cores} cores: skew {found}, not {even}"


def work_is_not_free(rows, costs):
    """Nobody serves more than cores that do only the least; what skew leaves idle does nothing."""
    for (traffic, strategy, cores), row in rows.items():
        most = cores / costs.least_us * 1e6
        for found in (row["ops_s"], row["ops_s_max"], row["ops_s_min"] * row["skew_min"]):
            if found > most * (1 + CLOSE):
                yield f"{traffic}, {strategy}, {cores} cores: {found:,.0f} > {most:,.0f}"


def cores_times_one_is_the_top(rows, costs):
    """While no shortcut is cheaper than a local operation, no traffic beats cores times one core's uniform rate."""
    if costs.least_us < (costs.network + costs.execute) * (1 - CLOSE):
        return
    for (traffic, strategy, cores), row in rows.items():
        most = cores * rows["uniform", "hashing", 1]["ops_s"]
        if row["ops_s"] > most * (1 + CLOSE):
            yield f"{traffic}, {strategy}, {cores} cores: {row['ops_s']:,.0f} > {most:,.0f}"


def skew_has_bounds(rows, _costs):
    """The busiest core is at least the mean and at most all there is."""
    for (traffic, strategy, cores), row in rows.items():
        if not 1 - CLOSE <= row["skew_min"] <= row["skew"] <= row["skew_max"] <= cores * (1 + CLOSE):
            yield f"{traffic}, {strategy}, {cores} cores: skew {row['skew']}"


def uniform_needs_no_help(rows, _costs):
    """Where no key is hot, all strategies are hashing alone."""
    for strategy in STRATEGIES:
        for cores in CORES:
            row, plain = rows["uniform", strategy, cores], rows["uniform", "hashing", cores]
            if abs(row["ops_s"] / plain["ops_s"] - 1) > CLOSE or row["hot_keys"]:
                yield f"{strategy}, {cores} cores: {row['ops_s']:,.0f}, {row['hot_keys']} hot"


def one_letter_in_flight(rows, _costs):
    """A core has at most one fold letter of a key under way: the owner sees at most cores / round trip."""
    for (traffic, strategy, cores), row in rows.items():
        if row["in_flight_max"] > 1 + CLOSE:
            yield f"{traffic}, {strategy}, {cores} cores: {row['in_flight_max']} in flight"


def only_caches_are_stale(rows, _costs):
    """Old values come from TTL caches alone, and only where somebody writes; wrong counts from split keys alone."""
    written = {traffic.name: traffic.reads < 1.0 for traffic in TRAFFIC}
    for (traffic, strategy, cores), row in rows.items():
        stale, inexact = row["stale_read_share"], row["inexact_reply_share"]
        allowed = strategy == "ttl" and written[traffic], strategy == "salting" and traffic == "single-incr"
        if not (0 <= stale <= allowed[0] and 0 <= inexact <= allowed[1]):
            yield f"{traffic}, {strategy}, {cores} cores: {stale} stale, {inexact} inexact"


def splitting_may_be_left(rows, _costs):
    """Salting picks how many keys it splits, none included, so it never falls behind hashing."""
    for traffic in TRAFFIC:
        for cores in CORES:
            row, plain = rows[traffic.name, "salting", cores], rows[traffic.name, "hashing", cores]
            if row["ops_s"] < plain["ops_s"] * (1 - CLOSE):
                yield f"{traffic.name}, {cores} cores: {row['ops_s']:,.0f} < {plain['ops_s']:,.0f}"


# Each law with a row, what to write over it, and so a fault that this very law must find.
LAWS = (
    (one_core_is_one_core, ("single", "coldplate", 1), lambda row: row | {"ops_s": row["ops_s"] * 0.99}),
    (hashing_is_bound_by_the_owner, ("single", "hashing", 128), lambda row: row | {"ops_s": row["ops_s"] * 1.1}),
    (replicas_read_evenly, ("single-get", "coldplate", 16), lambda row: row | {"skew": 1.01}),
    (work_is_not_free, ("zipf-1.2", "coldplate", 64), lambda row: row | {"ops_s_min": row["ops_s"] * 2}),
    (cores_times_one_is_the_top, ("single-get", "ttl", 8), lambda row: row | {"ops_s": row["ops_s"] * 1.01}),
    (skew_has_bounds, ("zipf-0.99", "hashing", 4), lambda row: row | {"skew_max": 4.1}),
    (uniform_needs_no_help, ("uniform", "coldplate", 32), lambda row: row | {"ops_s": row["ops_s"] * 1.01}),
    (one_letter_in_flight, ("single-incr", "coldplate", 2), lambda row: row | {"in_flight_max": 1.5}),
    (only_caches_are_stale, ("single", "coldplate", 8), lambda row: row | {"stale_read_share": 0.01}),
    (splitting_may_be_left, ("zipf-0.99", "salting", 16), lambda row: row | {"ops_s": row["ops_s"] * 0.5}),
)


def check(table, costs):
    """Complaints, none of which is good: broken laws, and laws that would not notice."""
    rows = {(row["traffic"], row["strategy"], row["cores"]): row for row in table}
    for law, where, fault in LAWS:
        yield from (f"{law.__name__}: {text}" for text in law(rows, costs))
        # With a shortcut cheaper than a local operation, one law does not apply and says nothing.
        if not list(law(rows | {where: fault(rows[where])}, costs)) and law is not cores_times_one_is_the_top:
            yield f"{law.__name__} does not notice a planted fault"
