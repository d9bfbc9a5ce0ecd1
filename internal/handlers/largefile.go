//go:build !arm64

package handlers

// Large is O_LARGEFILE of x86, which C libraries may or may not set. In package unix it is
// 0.
const Large = 0x8000
