package svipc

// Offsets in struct semid64_ds of <asm-generic/sembuf.h>.
const (
	semChanged = 56 // sem_ctime
	semCount   = 64 // sem_nsems
)
