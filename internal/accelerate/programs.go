package accelerate

import (
	"strconv"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// programs predicts which processes will make many calls, from earlier ones that executed the same
// file. These get the code at their first call. A shell, which mostly makes few calls, does not.
type programs struct {
	mu    sync.Mutex
	known [256]program
}

// program is what is known of the processes that have executed a file.
type program struct {
	file   inode
	begun  uint32 // processes
	lasted uint32 // those of them that have made enough calls to get the code
	early  uint32 // processes that have got the code at once, and are in neither of these numbers
	last   uint32 // the last process in lasted
}

// inode identifies a file, as stat(2) does.
type inode struct{ dev, ino uint64 }

const (
	// enough is how many processes are remembered: from then on, older ones count half.
	enough = 64
	// probe is after how many processes that get the code at once another one is observed.
	probe = 32
)

// at returns the program of an executable file. The caller has locked p.mu.
func (p *programs) at(f inode) *program {
	g := &p.known[(f.ino^f.dev)%uint64(len(p.known))]
	if g.file != f {
		*g = program{file: f}
	}
	return g
}

// isNew reports whether no process has executed f yet.
func (p *programs) isNew(f inode) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	g := p.at(f)
	return g.begun == 0 && g.early == 0
}

// starts notes that a process which has executed f gets the code at once.
func (p *programs) starts(f inode) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at(f).early++
}

// begins notes that a process which has executed f makes its first call, and reports whether it will
// probably make many.
func (p *programs) begins(f inode) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	g := p.at(f)
	if g.lasted > g.begun*3/4 && g.early%probe != probe-1 {
		g.early++
		return true
	}
	g.early = 0
	if g.begun++; g.begun > enough {
		g.begun, g.lasted = g.begun/2, g.lasted/2
	}
	return false
}

// lasts notes that the process pid, which has executed f, has made enough calls.
func (p *programs) lasts(f inode, pid uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if g := p.at(f); g.lasted < g.begun && g.last != pid { // not once for each thread
		g.lasted, g.last = g.lasted+1, pid
	}
}

// executable returns the file that the process pid has executed. Ok is false if that cannot be found
// out.
func executable(pid uint32) (f inode, ok bool) {
	var path [24]byte
	var st unix.Stat_t
	_ = append(strconv.AppendUint(path[:0], uint64(pid), 10), "/exe\x00"...)
	e := sys.Stat(&path[0], &st)
	return inode{st.Dev, st.Ino}, e == 0
}

// isProcess reports whether tid is the number of a process, and not that of another thread.
func isProcess(tid uint32) bool { return unix.Tgkill(int(tid), int(tid), 0) == nil }
