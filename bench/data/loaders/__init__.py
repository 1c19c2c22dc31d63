"""Where the bytes of a dataset come from: folders on this machine, then the network; always checked."""
