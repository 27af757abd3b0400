"""RoadChain: the append-only, hash-linked ledger, and the journal of each turn."""
