"""Right when the network is not: our client beside its peers, on connections that break on purpose."""
