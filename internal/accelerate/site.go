package accelerate

import (
	"encoding/binary"
)

var le = binary.LittleEndian

// A call site is the code with which a compiler, or the author of a libc, makes a system
// call:
//
//	mov $NR, %eax       the load: 5 bytes
//	mov %rcx, %r10      any number of moves, which depend on no address
//	syscall             2 bytes
//
// Only the load is replaced. Whoever jumps to one of the later instructions finds them as
// they were, and makes an ordinary call.
const (
	loadSize    = 5
	syscallSize = 2
	maxMoves    = 18 // bytes
	maxSite     = loadSize + maxMoves + syscallSize
)

// Go makes all calls of package syscall with one function, internal/runtime/syscall.Syscall6, which
// gets the number as an argument. It has been the same code since Go 1.19:
//
//	mov %rsi, %r10      3 bytes
//	mov %rdi, %rdx
//	mov %rcx, %rsi
//	mov %rbx, %rdi
//	syscall
//	...                 40 bytes
//	int3                at least 5 of them, up to the next function
//
// Only the first move is replaced, by a jump of 2 bytes to the first int3, which becomes one of 5
// bytes. So this, too, is one instruction that becomes one instruction.
//
// Call sites in Go programs run on the stacks of goroutines, which may be small. The code knows how
// large they are at this call site only, so that it replaces no other one there.
const (
	goMoves  = "\x49\x89\xf2\x48\x89\xfa\x48\x89\xce\x48\x89\xdf"
	goReturn = "\x48\x3d\x01\xf0\xff\xff" + // cmp $-4095, %rax
		"\x76" + // jbe; other compilers use jae or ja
		"\x15\x48\xf7\xd8\x48\x89\xc1\x48\xc7\xc0\xff\xff\xff\xff\x48\xc7\xc3\x00\x00\x00\x00\xc3" +
		"\x48\x89\xd3\x48\xc7\xc1\x00\x00\x00\x00\xc3"
	goSize   = len(goMoves) + syscallSize + len(goReturn)
	goErrors = 7 // bytes of goReturn, with which Go looks for errors of other calls, too
)

// goNote is in the first page of a program of Go: the type and the name of the note with its build id.
const goNote = "\x04\x00\x00\x00Go\x00\x00"

// goDepth is how far from the beginning of its text a program of Go may have the call site: linkers
// put packages before those that import them, and it is within 64 KiB.
const goDepth = 1 << 17

// site is a call site of a process.
type site struct {
	load uint64 // address of the load; of Go's call site, of the first move
	code []byte // load and moves
}

// isGo reports whether s is Go's call site.
func (s *site) isGo() bool { return string(s.code) == goMoves }

// goRoom is how many int3 there are at least behind Go's call site: functions begin at multiples of 32.
const goRoom = 10

// isGoFunction reports whether code, which begins with Go's call site, is its function, and there
// is room for a jump behind it: nothing, or the jump.
func isGoFunction(code []byte) bool {
	const none = "\xcc\xcc\xcc\xcc\xcc\xcc\xcc\xcc\xcc\xcc"
	if len(code) < goSize+goRoom || string(code[len(goMoves)+syscallSize:goSize]) != goReturn {
		return false
	}
	room := string(code[goSize : goSize+goRoom])
	return room == none || room[0] == 0xe9 && room[loadSize:] == none[loadSize:]
}

// after returns the address of the instruction after the call.
func (s *site) after() uint64 { return s.load + uint64(len(s.code)) + syscallSize }

// parseSite returns the call site of the call nr, which the process has just made. Before
// is what comes before the address after, the instruction pointer of the notification. Ok
// is false if the code looks different.
//
// What ends in a syscall instruction and begins with the load of just this number is a
// call site, except if the load is the end of another instruction: that is ruled out by
// the prefixes that such an instruction has.
func parseSite(before []byte, after uint64, nr uint32) (s site, ok bool) {
	end := len(before) - syscallSize
	if end < 0 || before[end] != 0x0f || before[end+1] != 0x05 {
		return site{}, false
	}
	for start := end - loadSize; start > 0 && end-start <= loadSize+maxMoves; start-- {
		code := before[start:end]
		if code[0] != 0xb8 || le.Uint32(code[1:]) != nr || isPrefix(before[start-1]) || !areMoves(code[loadSize:]) {
			continue
		}
		return site{load: after - uint64(len(before)-start), code: code}, true
	}
	return site{}, false
}

// isPrefix reports whether b, as the byte before 0xb8, would make it another instruction than a
// load: a REX prefix, that of 16-bit operands, or the escape of two-byte opcodes. (Other
// prefixes mean nothing there, and are the end of frequent instructions: 0xf2 of mov %esi, %edx.)
func isPrefix(b byte) bool { return b&0xf0 == 0x40 || b == 0x0f || b == 0x66 }

// areMoves reports whether code consists of moves between registers, and of constants to
// registers, so that it does the same at any address.
func areMoves(code []byte) bool {
	for len(code) > 0 {
		n := moveSize(code)
		if n == 0 || n > len(code) {
			return false
		}
		code = code[n:]
	}
	return true
}

// moveSize returns the size of the move with which code begins, or 0 if it begins with
// another instruction.
func moveSize(code []byte) int {
	rex := 0
	if code[0]&0xf0 == 0x40 {
		rex = 1
	}
	if len(code) < rex+2 {
		return 0
	}
	registers := code[rex+1] >= 0xc0 // a ModRM byte that names two registers
	switch op := code[rex]; {
	case op == 0x89, op == 0x8b, op == 0x31, op == 0x33, op == 0x63: // mov, xor, movslq
		if registers {
			return rex + 2
		}
	case op >= 0xb9 && op <= 0xbf, op == 0xb8 && rex == 1: // mov $constant; not to eax
		if rex == 1 && code[0]&0x08 != 0 { // movabs
			return rex + 9
		}
		return rex + 5
	case op == 0xc7: // mov $constant, sign-extended
		if registers && code[rex+1]&0x38 == 0 {
			return rex + 6
		}
	}
	return 0
}

// appendJump appends a jump to the address to, for code at the address at. Ok is false if
// that is too far.
func appendJump(b []byte, at, to uint64) (_ []byte, ok bool) {
	distance := int64(to - (at + loadSize))
	return le.AppendUint32(append(b, 0xe9), uint32(distance)), distance == int64(int32(distance))
}

// jumpTarget returns where the jump with which code begins leads to. Ok is false if it is
// another instruction.
func jumpTarget(code []byte, at uint64) (to uint64, ok bool) {
	if len(code) < loadSize || code[0] != 0xe9 {
		return 0, false
	}
	return at + loadSize + uint64(int64(int32(le.Uint32(code[1:])))), true
}

// returnSize is how many bytes comparison needs.
const returnSize = 6

// comparison returns the instruction with which code begins, if it compares the result of a call with
// a constant: cmp $constant, %rax or %eax. It has at least as many bytes as a jump, and does the same
// at any address.
func comparison(code []byte) (_ []byte, ok bool) {
	switch {
	case code[0] == 0x3d:
		return code[:5], true
	case code[0] == 0x48 && code[1] == 0x3d:
		return code[:6], true
	}
	return nil, false
}

// crossesPage reports whether a write of n bytes at the address at is more than one to
// the kernel.
func crossesPage(at uint64, n int) bool { return at/pageSize != (at+uint64(n)-1)/pageSize }

const pageSize = 4096

// A slot does what a call site did, and jumps into the code of the blob instead of making
// the call. It has the size of a cache line. At its end are the address to which it jumps, so that the
// blob may be anywhere, and that of the call site.
const (
	slotSize     = 64
	slotCommonAt = slotSize - 16
	slotSiteAt   = slotSize - 8
)

// makeSlot returns the slot at the address at for the call site s. Common is where slots
// jump to. Ok is false if the call site is too far away.
func makeSlot(s *site, at, common uint64) (slot [slotSize]byte, ok bool) {
	a := assembler{code: append(slot[:0], s.code...), at: at}
	a.bytes(0x48, 0x8d, 0x0d).relative(s.after())   // lea after(%rip), %rcx
	a.bytes(0xff, 0x25).relative(at + slotCommonAt) // jmp *common(%rip)
	le.PutUint64(slot[slotCommonAt:], common)
	le.PutUint64(slot[slotSiteAt:], s.load)
	_, near := appendJump(nil, s.load, at)
	return slot, near && !a.far && len(a.code) <= slotCommonAt
}
