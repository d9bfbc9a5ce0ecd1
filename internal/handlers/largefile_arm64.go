package handlers

// Large is O_LARGEFILE of arm64, which C libraries give or not as they like: in package
// unix it is 0.
const Large = 0x20000
