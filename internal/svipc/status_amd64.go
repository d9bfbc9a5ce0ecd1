package svipc

// Offsets in struct semid64_ds of <asm/sembuf.h>.
const (
	semChanged = 64 // sem_ctime
	semCount   = 80 // sem_nsems
)
