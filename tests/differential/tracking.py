"""Random commands of a connection that keeps what it reads: a part of `generate.Generator`."""

from differential import words

READS = ("GET", "GET", "STRLEN", "EXISTS", "TYPE", "TTL", "MGET", "DUMP", "BITCOUNT", "TOUCH", "PEXPIRETIME")
PREFIXES = ("", "k", "user:", "{tag}", "K", "k1")


class Tracking:
    def begin_tracking(self):
        """What makes it one. Now and then it listens to prefixes instead."""
        return [self.command("HELLO", "3", compare="hello"), self.switch_tracking()]

    def switch_tracking(self):
        rng = self.rng
        options = [rng.choice(("OPTIN", "OPTOUT"))] if rng.random() < 0.3 else []
        if not options and rng.random() < 0.4:
            options.append("BCAST")
            for prefix in rng.sample(PREFIXES, rng.choice((0, 0, 1, 2))):
                options += ["PREFIX", prefix]
        options += ["NOLOOP"] if rng.random() < 0.3 else []
        options = [words.any_case(rng, word) for word in options]
        return self.command("CLIENT", "TRACKING", words.any_case(rng, "ON"), *options)

    def kept(self):
        """Something that it reads, or that changes what it is told."""
        rng = self.rng
        pick = rng.random()
        if pick < 0.75:
            name = rng.choice(READS)
            return [self.command(name, self.key(), compare="dump" if name == "DUMP" else self.clock_rule(name))]
        if pick < 0.9:
            return [self.command("CLIENT", "CACHING", rng.choice(("YES", "NO"))), self.command("GET", self.key())]
        return rng.choice(
            (
                lambda: [self.command("CLIENT", "TRACKINGINFO", compare="tracking_info")],
                lambda: [self.command("CLIENT", "GETREDIR")],
            )
        )()

    def switch(self):
        """Another mode, in a batch of its own: who turns it off is told no more of what has changed before."""
        off = [self.command("CLIENT", "TRACKING", "OFF")] if self.rng.random() < 0.7 else []
        return [*off, self.switch_tracking()]
