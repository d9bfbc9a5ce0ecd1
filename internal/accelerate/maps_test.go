package accelerate

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/accelerate/blob"
)

// TestMappings compares the mappings of a process that waits with the text that the kernel writes.
func TestMappings(t *testing.T) {
	needMappings(t)
	cat := exec.Command("cat")
	in, err := cat.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cat.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cat.Start(); err != nil {
		t.Fatal(err)
	}
	defer cat.Wait()
	defer in.Close()
	if _, err := fmt.Fprintln(in, "ready"); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", cat.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir("/proc")
	got, err := (&process{pid: uint32(cat.Process.Pid)}).maps()
	if err != nil {
		t.Fatal(err)
	}
	number := func(s string, base int) uint64 {
		v, err := strconv.ParseUint(s, base, 64)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	var want []mapping
	for _, f := range regexp.MustCompile(`(?m)^([0-9a-f]+)-([0-9a-f]+) (....) ([0-9a-f]+) ([0-9a-f]+):([0-9a-f]+) (\d+)(.*)`).FindAllStringSubmatch(string(text), -1) {
		if strings.HasSuffix(f[8], "[vsyscall]") { // no mapping of the process
			continue
		}
		want = append(want, mapping{
			start: number(f[1], 16), end: number(f[2], 16), offset: number(f[4], 16),
			file:     file{uint32(number(f[5], 16)), uint32(number(f[6], 16)), number(f[7], 10)},
			writable: f[3][1] == 'w', executable: f[3][2] == 'x', private: f[3][3] == 'p',
		})
	}
	if len(want) == 0 || !slices.Equal(got, want) {
		t.Errorf("the mappings are\n%+v, want\n%+v", got, want)
	}
}

// The mapping of a blob is known by its name.
func TestMappingsOfCode(t *testing.T) {
	p, _ := itself(t)
	for name, isCode := range map[string]bool{memfdName: true, memfdName + "-other": false, strings.Repeat("n", 200): false} {
		fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_EXEC)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		if _, err := unix.Write(fd, blob.Code()); err != nil {
			t.Fatal(err)
		}
		m, err := unix.Mmap(fd, 0, len(blob.Code()), unix.PROT_READ|unix.PROT_EXEC, unix.MAP_PRIVATE)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Munmap(m)
		all, err := p.maps()
		if err != nil {
			t.Fatal(err)
		}
		k := containing(all, uint64(uintptr(unsafe.Pointer(&m[0]))))
		if k < 0 || all[k].code != isCode {
			t.Errorf("%s: mapping %d of %+v", name, k, all)
		}
	}
}

// some are the mappings of a static program, a library and a stack.
var some = []mapping{
	{start: 0x400000, end: 0x401000, file: file{0xfe, 0, 1001}, private: true},
	{start: 0x401000, end: 0x480000, offset: 0x1000, file: file{0xfe, 0, 1001}, executable: true, private: true},
	{start: 0x7f0000000000, end: 0x7f0000026000, file: file{0xfe, 0, 2002}, private: true},
	{start: 0x7f0000026000, end: 0x7f000017c000, offset: 0x26000, file: file{0xfe, 0, 2002}, executable: true, private: true},
	{start: 0x7ffd00000000, end: 0x7ffd00021000, writable: true, private: true},
}

func TestContaining(t *testing.T) {
	for address, want := range map[uint64]int{0x400000: 0, 0x400fff: 0, 0x401000: 1, 0x7f0000026000: 3, 0x7f000017c000: -1, 0: -1} {
		if got := containing(some, address); got != want {
			t.Errorf("%#x is in mapping %d, want %d", address, got, want)
		}
	}
}

func TestFindRoom(t *testing.T) {
	for i, want := range map[int]uint64{1: 0x400000 - margin - 0x3000, 3: 0x7f0000000000 - margin - 0x3000} {
		if at, ok := findRoom(some, i, 0x3000); !ok || at != want {
			t.Errorf("for mapping %d: %#x, %v, want %#x", i, at, ok, want)
		}
	}
	// No gap is large enough, or near enough.
	if at, ok := findRoom([]mapping{{start: 0x10000, end: 0x200000}}, 0, 0x3000); ok {
		t.Errorf("room at %#x", at)
	}
	if at, ok := findRoom([]mapping{{start: 0x7f0000000000, end: 0x7f0100000000}}, 0, 0x3000); ok {
		t.Errorf("room at %#x for 4 GiB of code", at)
	}
}
