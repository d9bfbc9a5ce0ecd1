#include "go_asm.h"
#include "textflag.h"

DATA ·joint+0(SB)/8, $"subuidle"
DATA ·joint+8(SB)/8, $"ss-joint"
DATA ·joint+16(SB)/8, $·entry(SB)
GLOBL ·joint(SB), NOPTR, $40

// See entry_amd64.s.
TEXT ·entry(SB), NOSPLIT|NOFRAME, $0
	MOVD $0, R0 // prlimit64(0, RLIMIT_AS, NULL, &below the stack)
	MOVD $9, R1
	MOVD $0, R2
	MOVD RSP, R3
	SUB $16, R3
	MOVD $261, R8
	SVC
	CBNZ R0, start
	MOVD (R3), R1
	MOVD $const_minAddressSpace, R2
	CMP R2, R1
	BHS start
	MOVD $2, R0 // write(2, noAddressSpace)
	MOVD ·noAddressSpace+0(SB), R1
	MOVD ·noAddressSpace+8(SB), R2
	MOVD $64, R8
	SVC
	MOVD $1, R0 // exit_group(1)
	MOVD $94, R8
	SVC
start:
	MOVD 8(RSP), R0
	CBZ R0, main
	MOVD (R0), R1
	MOVD $0x656c646975627573, R2 // subuidle
	CMP R2, R1
	BNE main
	MOVD 8(R0), R1
	MOVD $0x6567616d692d7373, R2 // ss-image
	CMP R2, R1
	BNE main
	MOVD ·joint+32(SB), R0
	JMP (R0)
main:
	MOVD ·joint+24(SB), R0
	JMP (R0)
