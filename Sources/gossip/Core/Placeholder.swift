// gossip
