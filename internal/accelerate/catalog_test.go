package accelerate

import (
	"bytes"
	"fmt"
	"os"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// needMappings skips the test before Linux 6.11, which answers questions about mappings. Supported
// requires a later kernel.
func needMappings(t *testing.T) {
	t.Helper()
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	defer maps.Close()
	if _, err := mappings(int(maps.Fd())); err == unix.ENOTTY {
		t.Skip("needs Linux 6.11 (PROCMAP_QUERY)")
	}
}

// itself returns this process, and its mappings.
func itself(t *testing.T) (*process, []mapping) {
	t.Helper()
	needMappings(t)
	t.Chdir("/proc")
	p, err := open(uint32(os.Getpid()), *header(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.close)
	all, err := p.maps()
	if err != nil {
		t.Fatal(err)
	}
	return p, all
}

// goSite returns the call site of this Go program, and the index of its mapping.
func goSite(t *testing.T, p *process, all []mapping) (s *site, k int) {
	t.Helper()
	for k := range all {
		if !all[k].isText() {
			continue
		}
		text := make([]byte, all[k].end-all[k].start)
		if err := p.read(all[k].start, text); err != nil {
			t.Fatal(err)
		}
		for n := 0; n+maxSite < len(text); n += 16 {
			after := all[k].start + uint64(n+len(goMoves)+syscallSize)
			if s, err := p.site(after, unix.SYS_NEWFSTATAT); err == nil && s.isGo() {
				return s, k
			}
		}
	}
	t.Fatal("this version of Go makes its calls in another way")
	return nil, 0
}

// What is known of a file is found again in a process that maps it, and only if it is the same.
func TestCatalog(t *testing.T) {
	p, all := itself(t)
	s, k := goSite(t, p, all)
	var c catalog
	if got := c.sites(p, all, k); got != nil {
		t.Errorf("knows %v", got)
	}
	other := site{s.load - 64, []byte{0xb8, 6, 1, 0, 0}}
	c.learn(p, all, k, &other)
	if got := c.sites(p, all, k); len(got) != 1 || got[0].load != other.load || string(got[0].code) != string(other.code) {
		t.Errorf("knows %v, want %v", got, other)
	}
	c.learn(p, all, k, s)
	c.learn(p, all, k, s)
	if got := c.sites(p, all, k); len(got) != 1 || got[0].load != s.load || !got[0].isGo() {
		t.Errorf("of a Go program, knows %v, want %v", got, s)
	}
	if known := c.files[all[k].file]; len(known.sites) != 2 {
		t.Errorf("knows %v", known)
	}
	c.files[all[k].file] = known{c.files[all[k].file].head + 1, c.files[all[k].file].sites}
	if got := c.sites(p, all, k); got != nil {
		t.Errorf("of another file with this inode, knows %v", got)
	}
}

// Go's call site is found in this program before any call has been made from there.
func TestLearnGo(t *testing.T) {
	p, all := itself(t)
	want, k := goSite(t, p, all)
	var c catalog
	if !c.learnGo(p, all) {
		t.Fatal("finds no call site")
	}
	if got := c.sites(p, all, k); len(got) != 1 || got[0].load != want.load || !got[0].isGo() {
		t.Errorf("finds %v, want %v", got, want)
	}
	if n := len(c.files); n != 1 {
		t.Errorf("finds call sites in %d files", n)
	}
}

func TestCatalogIsBounded(t *testing.T) {
	p, all := itself(t)
	_, k := goSite(t, p, all)
	var c catalog
	for n := range uint64(maxFileSites + 10) {
		c.learn(p, all, k, &site{all[k].start + n*64, []byte{0xb8, 6, 1, 0, 0}})
	}
	if n := len(c.sites(p, all, k)); n != maxFileSites {
		t.Errorf("%d sites", n)
	}
	for n := range uint64(maxFiles + 10) {
		all[k].file.inode = n // the head is that of the same mapping
		c.learn(p, all[k:k+1], 0, &site{all[k].start, []byte{0xb8, 6, 1, 0, 0}})
	}
	if len(c.files) > maxFiles {
		t.Errorf("%d files", len(c.files))
	}
}

// A program whose processes make many calls gets the code at once, and one whose processes seldom do
// so does not.
func TestPrograms(t *testing.T) {
	const all, half = 1, 2
	f := inode{1, 2}
	for _, tt := range []struct {
		lasting uint32 // each of so many processes makes many calls
		early   bool
	}{{all, true}, {half, false}} {
		t.Run(fmt.Sprintf("one of %d", tt.lasting), func(t *testing.T) {
			var p programs
			if p.begins(f) {
				t.Error("the first one gets it")
			}
			p.lasts(f, 1)
			early := 0
			const n = 10 * enough
			for pid := uint32(2); pid < n; pid++ {
				if p.begins(f) {
					early++
				} else if pid%tt.lasting == 0 {
					p.lasts(f, pid)
					p.lasts(f, pid) // another thread
				}
			}
			if tt.early && early < n*9/10 || !tt.early && early > n/10 {
				t.Errorf("%d of %d get it", early, n)
			}
			if g := p.at(f); g.begun > enough || g.lasted > g.begun {
				t.Errorf("%+v", g)
			}
		})
	}
	var p programs
	if !p.isNew(f) {
		t.Error("knows a program that nobody has executed")
	}
	p.starts(f)
	if p.isNew(f) || p.begins(f) || p.isNew(f) {
		t.Error("the process after one that has got it at once is not observed")
	}
	p.lasts(f, 1)
	other := inode{f.dev, f.ino + uint64(len(p.known))}
	if p.begins(other) || p.begins(f) {
		t.Error("mixes programs up")
	}
}

// Several receivers get calls of a process, which counts once. They agree on whether it gets the code
// at its first call.
func TestProgramsOfReceivers(t *testing.T) {
	needMappings(t)
	t.Chdir("/proc")
	first := injector(t, 1)
	pid := uint32(os.Getpid())
	f, ok := executable(pid)
	if !ok {
		t.Fatal("the program of this process cannot be found out")
	}
	for n, want := range []bool{true, false, true} { // it is a Go program, and then one that lasts
		for k := range 3 {
			other := first.NewInjector()
			call := &Call{Caller: caller(true), PID: pid, After: 1}
			if early, _ := other.isTime(other.hint(pid), call); early != want {
				t.Errorf("process %d, receiver %d: early is %v", n, k, early)
			}
			other.isTime(other.hint(pid), call) // at the same call site again: it lasts
		}
		first.Executes(pid) // the next process has the same number
	}
	if g := first.programs.at(f); g.begun != 1 || g.lasted != 1 || g.early != 1 {
		t.Errorf("%+v", g)
	}
}

func TestExecutable(t *testing.T) {
	t.Chdir("/proc")
	var st unix.Stat_t
	if err := unix.Stat("self/exe", &st); err != nil {
		t.Fatal(err)
	}
	pid := uint32(os.Getpid())
	if f, ok := executable(pid); !ok || f != (inode{st.Dev, st.Ino}) {
		t.Errorf("%v, %v", f, ok)
	}
	if !isProcess(pid) {
		t.Error("this is a process")
	}
	tasks, err := os.ReadDir("self/task")
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		if tid := task.Name(); tid != fmt.Sprint(pid) {
			var n uint32
			if _, err := fmt.Sscan(tid, &n); err != nil || isProcess(n) {
				t.Errorf("%s is a thread (%v)", tid, err)
			}
		}
	}
}

// What a process had in its memory when it was not alone is read again.
func TestReadAgain(t *testing.T) {
	p, _ := itself(t)
	memory, err := unix.Mmap(-1, 0, pageSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(memory)
	for n := range byte(2) {
		memory[7] = n
		if err := p.checkAlone(1); err != errBusy {
			t.Errorf("this process with threads: %v", err)
		}
		var got [1]byte
		if err := p.read(uint64(uintptr(unsafe.Pointer(&memory[7]))), got[:]); err != nil || got[0] != n {
			t.Errorf("reads %d, %v; want %d", got[0], err, n)
		}
	}
}

// Edits of a page are one write, and change nothing between them.
func TestEdit(t *testing.T) {
	if err := sys.OverwritesConstants(); err != nil {
		t.Skip(err)
	}
	p, _ := itself(t)
	memory, err := unix.Mmap(-1, 0, 3*pageSize, unix.PROT_READ, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(memory)
	want := bytes.Clone(memory)
	start := uint64(uintptr(unsafe.Pointer(&memory[0])))
	var edits []edit
	for n, at := range []int{2 * pageSize, 100, 7, pageSize - 3, pageSize} {
		e := edit{start + uint64(at), []byte{byte(n + 1), 2, 3}}
		copy(want[at:], e.code)
		edits = append(edits, e)
	}
	if err := p.edit(edits); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(memory, want) {
		t.Error("the memory is not what the edits say")
	}
	if err := p.edit([]edit{{start, []byte{9}}, {0, []byte{9}}}); err == nil {
		t.Error("writes where there is no memory")
	}
}
