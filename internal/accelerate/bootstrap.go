package accelerate

import (
	"github.com/rootless-containers/subuidless/internal/accelerate/blob"
)

// bootstrap is code that maps the blob. It is at the end of the last page of a text
// segment, which no file fills completely: it disturbs nothing there, and needs no memory
// of its own.
//
// A call site jumps to it instead of loading the number of its call. It does not use
// flags and only registers that a system call changes, before it has saved the others;
// and it blocks all signals, so that no handler can run, fork or leave in the middle.
// Afterwards, whatever happened, it makes the call in the ordinary way.
type bootstrap struct {
	at      uint64 // its address
	site    site   // from which it is called
	mapping uint64 // where the blob is to be mapped
}

// The layout of a bootstrap. Its data are at the end of the page.
const (
	bootstrapSize  = 256
	bootOffAt      = bootstrapSize - 26 // a byte: not 0, if the bootstrap shall do nothing
	bootCodeSizeAt = bootstrapSize - 25 // a byte: size of the call site's code, which is at bootPlainAt
	bootSiteAt     = bootstrapSize - 24 // address of the call site
	bootMappingAt  = bootstrapSize - 16
	bootMagicAt    = bootstrapSize - 8
	bootPlainAt    = 9 // makes the call in the ordinary way

	bootMagic = 0x746f6f6264697573
)

// make returns the code of b, for the blob with the header h. Ok is false if one of the
// addresses is too far away.
func (b *bootstrap) make(h *blob.Header) (code [bootstrapSize]byte, ok bool) {
	a := assembler{code: code[:0], at: b.at}
	a.bytes(0x0f, 0xb6, 0x0d).relative(b.at + bootOffAt) // movzbl off(%rip), %ecx
	a.bytes(0xe3)                                        // jrcxz boot
	toBoot := a.short()
	a.bytes(b.site.code...)
	a.jump(b.site.after() - syscallSize)

	a.land(toBoot)
	a.bytes(0x48, 0x8d, 0x64, 0x24, 0x80)                   // lea -128(%rsp), %rsp
	a.bytes(0x48, 0x8d, 0x0d).relative(b.at + bootPlainAt)  // lea plain(%rip), %rcx
	a.bytes(0x51, 0x9c)                                     // push %rcx; pushfq
	a.bytes(0x50, 0x57, 0x56, 0x52)                         // push %rax; %rdi; %rsi; %rdx
	a.bytes(0x41, 0x52, 0x41, 0x50, 0x41, 0x51, 0x6a, 0xff) // push %r10; %r8; %r9; $-1
	a.bytes(0x48, 0x89, 0xe6, 0x48, 0x89, 0xe2)             // mov %rsp, %rsi; mov %rsp, %rdx
	a.setMask()
	a.bytes(0xb8, 157, 0, 0, 0, 0xbf).u32(blob.PrctlMap) // mov $157, %eax; mov $PrctlMap, %edi
	a.bytes(0x48, 0x8d, 0x35).relative(b.at)             // lea bootstrap(%rip), %rsi
	a.bytes(0x0f, 0x05)
	a.bytes(0x85, 0xc0, 0x78) // test %eax, %eax; js fail
	toFail := a.short()
	a.bytes(0x41, 0x89, 0xc0, 0x45, 0x31, 0xc9) // mov %eax, %r8d; xor %r9d, %r9d
	a.bytes(0x41, 0xba).u32(mapFlags)           // mov $flags, %r10d
	a.bytes(0x6a, 5, 0x5a, 0xbe).u32(h.Size)    // push $PROT_READ|PROT_EXEC; pop %rdx; mov $size, %esi
	a.bytes(0x48, 0xbf).u64(b.mapping)          // movabs $mapping, %rdi
	a.bytes(0x6a, 9, 0x58, 0x0f, 0x05)          // push $mmap; pop %rax; syscall
	a.bytes(0x48, 0x39, 0xf8, 0x75)             // cmp %rdi, %rax; jne close
	toClose := a.short()
	a.bytes(0x4c, 0x8d, 0x0d).relative(b.at) // lea bootstrap(%rip), %r9
	a.bytes(0x48, 0x8d, 0x87).u32(h.Entry)   // lea entry(%rdi), %rax
	a.bytes(0xff, 0xe0)                      // jmp *%rax

	a.land(toClose)
	a.bytes(0x44, 0x89, 0xc7, 0x6a, 3, 0x58, 0x0f, 0x05) // mov %r8d, %edi; push $close; pop %rax; syscall

	a.land(toFail)
	a.bytes(0x48, 0x89, 0xe6, 0x31, 0xd2) // mov %rsp, %rsi; xor %edx, %edx
	a.setMask()
	a.bytes(0x58, 0x41, 0x59, 0x41, 0x58, 0x41, 0x5a) // pop %rax; %r9; %r8; %r10
	a.bytes(0x5a, 0x5e, 0x5f, 0x41, 0x5b, 0x58)       // pop %rdx; %rsi; %rdi; %r11; %rax
	// restore_flags of entry.S
	a.bytes(0x89, 0xc1, 0xc1, 0xe9, 11, 0x83, 0xe1, 1)         // mov %eax, %ecx; shr $11, %ecx; and $1, %ecx
	a.bytes(0x88, 0xc4, 0x88, 0xc8, 0x04, 0x7f, 0x9e)          // mov %al, %ah; mov %cl, %al; add $0x7f, %al; sahf
	a.bytes(0x4c, 0x89, 0xd8, 0x59)                            // mov %r11, %rax; pop %rcx
	a.bytes(0x48, 0x8d, 0xa4, 0x24, 0x80, 0, 0, 0, 0xff, 0xe1) // lea 128(%rsp), %rsp; jmp *%rcx

	code[bootCodeSizeAt] = byte(len(b.site.code))
	le.PutUint64(code[bootSiteAt:], b.site.load)
	le.PutUint64(code[bootMappingAt:], b.mapping)
	le.PutUint64(code[bootMagicAt:], bootMagic)
	return code, !a.far && len(a.code) <= bootOffAt
}

// mapFlags are MAP_PRIVATE|MAP_FIXED_NOREPLACE.
const mapFlags = 0x100002

// parseBootstrap returns the bootstrap at the address at, with this code. Ok is false if
// it is none.
func parseBootstrap(code []byte, at uint64) (b bootstrap, ok bool) {
	n := int(code[bootCodeSizeAt])
	if le.Uint64(code[bootMagicAt:]) != bootMagic || n < loadSize || n > loadSize+maxMoves {
		return bootstrap{}, false
	}
	return bootstrap{at, site{le.Uint64(code[bootSiteAt:]), code[bootPlainAt : bootPlainAt+n]}, le.Uint64(code[bootMappingAt:])}, true
}

// assembler writes code for the address at.
type assembler struct {
	code []byte
	at   uint64
	far  bool // an address is too far away
}

func (a *assembler) bytes(b ...byte) *assembler { a.code = append(a.code, b...); return a }
func (a *assembler) u32(v uint32)               { a.code = le.AppendUint32(a.code, v) }
func (a *assembler) u64(v uint64)               { a.code = le.AppendUint64(a.code, v) }

// relative writes the distance to the address to, at the end of an instruction.
func (a *assembler) relative(to uint64) {
	distance := int64(to - (a.at + uint64(len(a.code)) + 4))
	a.far = a.far || distance != int64(int32(distance))
	a.u32(uint32(distance))
}

// jump writes a jump to the address to.
func (a *assembler) jump(to uint64) { a.bytes(0xe9).relative(to) }

// short leaves room for the distance of a short jump, and returns its place for land.
func (a *assembler) short() int { a.bytes(0); return len(a.code) }

// land makes the short jump lead here.
func (a *assembler) land(from int) { a.code[from-1] = byte(len(a.code) - from) }

// setMask writes rt_sigprocmask(SIG_SETMASK, %rsi, %rdx, 8).
func (a *assembler) setMask() {
	a.bytes(0x6a, 2, 0x5f, 0x6a, 8, 0x41, 0x5a, 0x6a, 14, 0x58, 0x0f, 0x05) // push $2; pop %rdi; push $8; pop %r10; push $14; pop %rax; syscall
}
