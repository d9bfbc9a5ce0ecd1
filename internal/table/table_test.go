package table

import (
	"flag"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

var update = flag.Bool("update", false, "write docs/syscalls.md anew")

func TestDocsAreFresh(t *testing.T) {
	const page = "../../docs/syscalls.md"
	want := Markdown()
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(got), want); diff != "" {
		t.Errorf("docs/syscalls.md is stale; run make generate\n%s", diff)
	}
}

func TestRowsAreUniqueAndComplete(t *testing.T) {
	seen := map[string]bool{}
	for i := range Rows {
		r := &Rows[i]
		if seen[r.Name] {
			t.Errorf("%s has two rows", r.Name)
		}
		seen[r.Name] = true
		if _, ok := numbers[r.Name]; !ok {
			t.Errorf("%s: no architecture has such a system call", r.Name)
		}
		if r.Note == "" {
			t.Errorf("%s: no note", r.Name)
		}
		if (r.Handler != nil) != (r.Support == Emulated) {
			t.Errorf("%s: a row has a handler if, and only if, it is emulated", r.Name)
		}
		if r.Support == Emulated && r.Args == nil {
			t.Errorf("%s: no types of arguments for --trace", r.Name)
		}
	}
	for _, p := range Peers {
		for _, name := range p.Calls {
			if !seen[name] {
				t.Errorf("%s handles %s, which has no row", p.Name, name)
			}
		}
	}
}

func TestEachABIHasItsOwnStatCalls(t *testing.T) {
	// A missing number would let the call slip past the filter unseen.
	for arch, names := range map[Arch][]string{
		X8664: {"chown", "fchown", "lchown", "fchownat", "stat", "lstat", "fstat", "newfstatat", "statx", "listxattrat"},
		I386: {"chown", "chown32", "fchown", "fchown32", "lchown", "lchown32", "fchownat", "oldstat", "oldlstat", "oldfstat",
			"stat", "lstat", "fstat", "stat64", "lstat64", "fstat64", "fstatat64", "statx", "listxattrat"},
		ARM64: {"fchown", "fchownat", "fstat", "newfstatat", "statx", "listxattrat"},
	} {
		for _, name := range names {
			i := slices.IndexFunc(Rows, func(r Row) bool { return r.Name == name })
			if i < 0 {
				t.Errorf("no row for %s", name)
				continue
			}
			if _, ok := Rows[i].Number(arch); !ok || Rows[i].Support != Emulated {
				t.Errorf("%s is not emulated on ABI %d", name, arch)
			}
		}
	}
}

func TestLookup(t *testing.T) {
	d := NewDispatch()
	for name, c := range map[string]struct {
		audit uint32
		nr    int32
		want  string
	}{
		"x86-64 chown":      {unix.AUDIT_ARCH_X86_64, 92, "chown"},
		"i386 chown32":      {unix.AUDIT_ARCH_I386, 212, "chown32"},
		"arm64 fchownat":    {unix.AUDIT_ARCH_AARCH64, 54, "fchownat"},
		"not emulated":      {unix.AUDIT_ARCH_X86_64, 0, ""},
		"x32":               {unix.AUDIT_ARCH_X86_64, X32Bit | 92, ""},
		"negative":          {unix.AUDIT_ARCH_X86_64, -1, ""},
		"another ABI":       {unix.AUDIT_ARCH_ARM, 182, ""},
		"beyond the table":  {unix.AUDIT_ARCH_X86_64, maxNR, ""},
		"i386 number, wide": {unix.AUDIT_ARCH_X86_64, 212, ""},
	} {
		row, handler := d.Lookup(c.audit, c.nr)
		got := ""
		if row != nil {
			got = row.Name
		}
		if got != c.want || (handler != nil) != (row != nil) {
			t.Errorf("%s: got row %q, handler %v; want %q", name, got, handler != nil, c.want)
		}
	}
}

func TestAsks(t *testing.T) {
	const high = 1 << 32 // the kernel takes an int, and ignores what is above
	always := Row{}
	ints := Row{When: []ArgTest{{0, 1<<32 - 1, 10}, {2, 0x40, 0x40}}}
	for _, c := range []struct {
		row  *Row
		args [6]uint64
		want bool
	}{
		{&always, [6]uint64{}, true},
		{&ints, [6]uint64{10}, true},
		{&ints, [6]uint64{10 | high}, true},
		{&ints, [6]uint64{10 | 1<<7}, false},
		{&ints, [6]uint64{0, 10}, false},
		{&ints, [6]uint64{2: 0x42}, true},
		{&ints, [6]uint64{2: 0x82}, false},
	} {
		if got := c.row.Asks(&c.args); got != c.want {
			t.Errorf("%v, arguments %v: %v, want %v", c.row.When, c.args, got, c.want)
		}
	}
}
