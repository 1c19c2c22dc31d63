"""Where the files of a dataset come from: folders of this machine, then the network; checksums always verified."""
