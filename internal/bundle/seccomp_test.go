package bundle

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/syscalls"
)

// testRows has a row of each kind.
var testRows = []syscalls.Row{
	{Name: "chown"},
	{Name: "lstat"},
	{Name: "openat", When: []syscalls.Condition{{{Index: 2, Mask: 0x40, Value: 0x40}}, {{Index: 2, Mask: 0x400000, Value: 0x400000}}}},
	{Name: "mknod", When: []syscalls.Condition{{{Index: 1, Mask: unix.S_IFMT, Value: unix.S_IFCHR}}, {{Index: 1, Mask: unix.S_IFMT, Value: unix.S_IFBLK}}}},
	{Name: "clone", When: []syscalls.Condition{{{Index: 0, Mask: unix.CLONE_NEWNS, Value: unix.CLONE_NEWNS}}}},
	{Name: "setsockopt", When: []syscalls.Condition{
		{{Index: 2, Mask: 1<<32 - 1, Value: 5}, {Index: 1, Mask: 6, Value: 2}}, {{Index: 1, Mask: 0xf, Value: 7}}, {{Index: 0, Mask: 0x40, Value: 0x40}, {Index: 1, Mask: 1, Value: 1}},
	}},
	{Name: "prctl", When: []syscalls.Condition{{{Index: 0, Mask: 1<<32 - 1, Value: 7}}, {{Index: 0, Mask: 1<<32 - 1, Value: 23}}}},
	{Name: "io_uring_setup", Support: syscalls.Refused},
	{Name: "chmod", Support: syscalls.Native},
}

// profiles are profiles as users write them.
var profiles = map[string]string{
	"allow all": `{"defaultAction": "SCMP_ACT_ALLOW"}`,
	"log all":   `{"defaultAction": "SCMP_ACT_LOG"}`,
	"of the seed": `{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
		{"names": ["chown", "lstat"], "action": "SCMP_ACT_NOTIFY"}]}`,
	"of an engine": `{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "syscalls": [
		{"names": ["chown", "lstat", "openat", "mknod", "chmod", "read", "prctl", "setsockopt"], "action": "SCMP_ACT_ALLOW"},
		{"names": ["clone"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 2114060288, "op": "SCMP_CMP_MASKED_EQ"}]},
		{"names": ["personality"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 8, "op": "SCMP_CMP_EQ"}]},
		{"names": ["io_uring_setup"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}]}`,
	"of an engine, privileged": `{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
		{"names": ["chown", "lstat", "openat", "mknod", "io_uring_setup", "clone"], "action": "SCMP_ACT_ALLOW"}]}`,
	"allows some openat": `{"defaultAction": "SCMP_ACT_KILL_PROCESS", "syscalls": [
		{"names": ["openat"], "action": "SCMP_ACT_LOG", "args": [{"index": 2, "value": 3, "op": "SCMP_CMP_MASKED_EQ"}]},
		{"names": ["chown", "io_uring_setup"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 1, "value": 5, "op": "SCMP_CMP_LT"}]}]}`,
	"allows clone by order": `{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
		{"names": ["clone"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 131072, "op": "SCMP_CMP_GE"}]}]}`,
	"allows some setsockopt": `{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
		{"names": ["setsockopt"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 1, "value": 3, "valueTwo": 2, "op": "SCMP_CMP_MASKED_EQ"}, {"index": 2, "value": 16, "op": "SCMP_CMP_MASKED_EQ"}]}]}`,
	"denies chown": `{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
		{"names": ["chown", "read"], "action": "SCMP_ACT_ERRNO"}, {"names": ["lstat", "clone"], "action": "SCMP_ACT_KILL"}]}`,
	"denies chown to 5": `{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
		{"names": ["chown", "io_uring_setup"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 1, "value": 5, "op": "SCMP_CMP_EQ"}]},
		{"names": ["chown"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 0, "value": 6, "op": "SCMP_CMP_GT"}, {"index": 2, "value": 5, "op": "SCMP_CMP_NE"}]},
		{"names": ["mknod"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 1, "value": 61440, "valueTwo": 8192, "op": "SCMP_CMP_MASKED_EQ"}]}]}`,
	"denies chown to 5 or 6": `{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
		{"names": ["openat"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 2, "value": 1, "valueTwo": 1, "op": "SCMP_CMP_MASKED_EQ"}, {"index": 2, "value": 2, "valueTwo": 2, "op": "SCMP_CMP_MASKED_EQ"}]}]}`,
	"a denial without effect": `{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
		{"names": ["openat"], "action": "SCMP_ACT_KILL", "args": [{"index": 2, "value": 64, "valueTwo": 64, "op": "SCMP_CMP_MASKED_EQ"}]},
		{"names": ["openat", "chown"], "action": "SCMP_ACT_ALLOW"},
		{"names": ["chown"], "action": "SCMP_ACT_KILL"}]}`,
}

func parseProfile(t *testing.T, text string) *specs.LinuxSeccomp {
	t.Helper()
	var sec specs.LinuxSeccomp
	if err := json.Unmarshal([]byte(text), &sec); err != nil {
		t.Fatal(err)
	}
	return &sec
}

// verdict returns what a filter made from the profile does with a call, by the rules of type
// profile. It fails the test if libseccomp's choice between rules would be undefined.
func verdict(t *testing.T, sec *specs.LinuxSeccomp, name string, args [6]uint64) string {
	t.Helper()
	show := func(action specs.LinuxSeccompAction, errno *uint) string {
		if action == specs.ActErrno {
			return fmt.Sprint(action, " ", errnoOf(errno))
		}
		return string(action)
	}
	found := ""
	for _, rule := range (profile{sec}).rulesFor(name) {
		if isUnconditional(rule) {
			return show(rule.Action, rule.ErrnoRet)
		}
		conditions, err := conditionsOf(rule)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range conditions {
			seen := map[uint]bool{}
			for _, a := range c {
				if seen[a.Index] {
					t.Errorf("%s has two comparisons of one argument: %v", name, c)
				}
				seen[a.Index] = true
			}
			if !holds(c, args) {
				continue
			}
			v := show(rule.Action, rule.ErrnoRet)
			if found != "" && found != v {
				t.Errorf("%s%v: rules for both %s and %s", name, args, found, v)
			}
			found = v
		}
	}
	if found == "" {
		return show(sec.DefaultAction, sec.DefaultErrnoRet)
	}
	return found
}

func holds(c condition, args [6]uint64) bool {
	return !slices.ContainsFunc(c, func(a specs.LinuxSeccompArg) bool { return !admits(a, args[a.Index]) })
}

// samples returns arguments on both sides of every comparison above.
func samples() [][6]uint64 {
	values := []uint64{0, 1, 2, 3, 4, 5, 6, 7, 23, 7 | 1<<7, 7 | 1<<32, 0x40, 0x43, 0x400000, 0x410000, 0x400041, 0x20000, 0x20011, 0x1200011,
		unix.S_IFREG | 0o644, unix.S_IFCHR | 0o600, unix.S_IFBLK, unix.S_IFIFO, unix.S_IFSOCK, unix.S_IFDIR, unix.S_IFLNK, 1 << 40}
	var all [][6]uint64
	for _, x := range values {
		all = append(all, [6]uint64{x, x, x}, [6]uint64{x, 7, 5}, [6]uint64{x, 5, x}, [6]uint64{0, 7, x}, [6]uint64{x, 2, 5}, [6]uint64{x, 3, 5 | 1<<7}, [6]uint64{0x40, x, 5})
	}
	return all
}

func TestInjectVerdicts(t *testing.T) {
	for name, text := range profiles {
		t.Run(name, func(t *testing.T) {
			before, after := parseProfile(t, text), parseProfile(t, text)
			if err := inject(after, testRows); err != nil {
				t.Fatal(err)
			}
			for _, args := range samples() {
				for i := range testRows {
					checkVerdict(t, before, after, &testRows[i], args)
				}
				for _, other := range []string{"read", "personality", "reboot"} {
					if was, is := verdict(t, before, other, args), verdict(t, after, other, args); was != is {
						t.Errorf("%s%v: was %s, is %s", other, args, was, is)
					}
				}
			}
		})
	}
}

func checkVerdict(t *testing.T, before, after *specs.LinuxSeccomp, row *syscalls.Row, args [6]uint64) {
	t.Helper()
	was, is := verdict(t, before, row.Name, args), verdict(t, after, row.Name, args)
	want := was
	if passes(specs.LinuxSeccompAction(was)) && row.Notifies(&args) {
		switch row.Support {
		case syscalls.Emulated:
			want = string(specs.ActNotify)
		case syscalls.Refused:
			want = "SCMP_ACT_ERRNO 38"
		}
	}
	// A profile with order comparisons gets more notifications than necessary.
	byOrder := is == string(specs.ActNotify) && passes(specs.LinuxSeccompAction(was)) && before.Syscalls != nil &&
		slices.ContainsFunc(before.Syscalls, func(r specs.LinuxSyscall) bool {
			return slices.Contains(r.Names, row.Name) && len(r.Args) > 0 && r.Args[0].Op == specs.OpGreaterEqual
		})
	// So does a profile that allows calls by rules, because of widen.
	byLowBits := is == string(specs.ActNotify) && passes(specs.LinuxSeccompAction(was)) && after.DefaultAction != specs.LinuxSeccompAction(was) &&
		slices.ContainsFunc(widen(row.When), func(c syscalls.Condition) bool { return c.Holds(&args) })
	if is != want && !byOrder && !byLowBits {
		t.Errorf("%s%v: was %s, is %s, want %s", row.Name, args, was, is, want)
	}
}

// WhenBundled replaces When.
func TestInjectWhenBundled(t *testing.T) {
	rows := []syscalls.Row{{Name: "sendmsg", WhenBundled: []syscalls.Condition{{{Index: 2, Mask: 0x4000, Value: 0x4000}}}}}
	sec := parseProfile(t, profiles["allow all"])
	if err := inject(sec, rows); err != nil {
		t.Fatal(err)
	}
	for flags, want := range map[uint64]string{0: string(specs.ActAllow), 0x40: string(specs.ActAllow), 0x4040: string(specs.ActNotify)} {
		if got := verdict(t, sec, "sendmsg", [6]uint64{0, 0, flags}); got != want {
			t.Errorf("sendmsg with flags %#x: %s, want %s", flags, got, want)
		}
	}
}

// If a profile allows calls by name, those that are not notified need conditional rules. Many
// of them make libseccomp's filter long, and containers slow to start.
func TestInjectFewRules(t *testing.T) {
	var names []string
	for _, row := range syscalls.Rows() {
		names = append(names, row.Name)
	}
	engine := specs.LinuxSeccomp{DefaultAction: specs.ActErrno, Syscalls: []specs.LinuxSyscall{{Names: names, Action: specs.ActAllow}}}
	if err := inject(&engine, syscalls.Rows()); err != nil {
		t.Fatal(err)
	}
	rules := map[string]int{}
	for _, r := range engine.Syscalls {
		for _, name := range r.Names {
			rules[name]++
		}
	}
	for name, n := range rules {
		if n > 60 {
			t.Errorf("%s needs %d rules, want at most 60: compare fewer bits in its row", name, n)
		}
	}
}

// Without permissions, calls that open files are notified depending on their flags. That must
// not take many rules.
func TestInjectOpens(t *testing.T) {
	rows := syscalls.WithoutPermissions(syscalls.Rows())
	i := slices.IndexFunc(rows, func(r syscalls.Row) bool { return r.Name == "openat" })
	row := &rows[i]
	for name, tt := range map[string]struct {
		profile string
		rules   int // with openat in their names
	}{
		"allow all":    {`{"defaultAction": "SCMP_ACT_ALLOW"}`, 6},
		"of an engine": {`{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": ["openat"], "action": "SCMP_ACT_ALLOW"}]}`, 23},
	} {
		before, after := parseProfile(t, tt.profile), parseProfile(t, tt.profile)
		if err := inject(after, rows); err != nil {
			t.Fatal(err)
		}
		rules := 0
		for _, r := range after.Syscalls {
			if slices.Contains(r.Names, "openat") {
				rules++
			}
		}
		if rules != tt.rules {
			t.Errorf("%s: %d rules for openat, want %d", name, rules, tt.rules)
		}
		for _, flags := range []uint64{
			unix.O_RDONLY, unix.O_WRONLY, unix.O_RDWR, unix.O_WRONLY | unix.O_RDWR, unix.O_RDONLY | unix.O_CREAT, unix.O_TMPFILE | unix.O_RDWR,
			unix.O_TMPFILE, unix.O_DIRECTORY, unix.O_PATH, unix.O_CLOEXEC | unix.O_RDONLY, unix.O_RDWR | unix.O_CREAT | unix.O_EXCL, unix.O_RDONLY | unix.O_TRUNC, unix.O_NOFOLLOW | unix.O_CLOEXEC,
		} {
			checkVerdict(t, before, after, row, [6]uint64{2: flags})
			notified := verdict(t, after, "openat", [6]uint64{2: flags}) == string(specs.ActNotify)
			if want := flags == 0 || flags&(unix.O_WRONLY|unix.O_RDWR|unix.O_CREAT|unix.O_TRUNC|unix.O_TMPFILE&^unix.O_DIRECTORY) != 0; notified != want {
				t.Errorf("%s, flags %#x: notified %v", name, flags, notified)
			}
		}
	}
}

func TestInjectTwice(t *testing.T) {
	for name, text := range profiles {
		t.Run(name, func(t *testing.T) {
			once := parseProfile(t, text)
			if err := inject(once, testRows); err != nil {
				t.Fatal(err)
			}
			first, err := json.Marshal(once)
			if err != nil {
				t.Fatal(err)
			}
			if err := inject(once, testRows); err != nil {
				t.Fatal(err)
			}
			second, err := json.Marshal(once)
			if err != nil {
				t.Fatal(err)
			}
			if string(first) != string(second) {
				t.Errorf("rewriting again gives\n%s\nfor\n%s", second, first)
			}
		})
	}
}

// A profile rewritten with permissions can be rewritten without them, and vice versa.
func TestInjectPermissionsChange(t *testing.T) {
	rows := append([]syscalls.Row{{Name: "access", Checks: syscalls.ChecksOnly},
		{Name: "open", Checks: syscalls.ChecksMore, WhenUnchecked: []syscalls.Condition{{{Index: 1, Mask: 0x40, Value: 0x40}}}}}, testRows...)
	for name, text := range profiles {
		// The added calls have the same rules as lstat; TestInjectVerdicts covers the others.
		text = strings.Replace(text, `"lstat", `, `"lstat", "access", "open", `, 1)
		t.Run(name, func(t *testing.T) {
			for _, order := range [][2][]syscalls.Row{{rows, syscalls.WithoutPermissions(rows)}, {syscalls.WithoutPermissions(rows), rows}} {
				changed, fresh := parseProfile(t, text), parseProfile(t, text)
				for _, err := range []error{inject(changed, order[0]), inject(changed, order[1]), inject(fresh, order[1])} {
					if err != nil {
						t.Fatal(err)
					}
				}
				if changed.DefaultAction == specs.ActLog {
					continue // a rewritten rule does not say that its calls were logged before
				}
				for _, args := range samples() {
					for i := range rows {
						if got, want := verdict(t, changed, rows[i].Name, args), verdict(t, fresh, rows[i].Name, args); got != want {
							t.Errorf("%s%v: %s, want %s", rows[i].Name, args, got, want)
						}
					}
				}
			}
		})
	}
}

func TestInjectRules(t *testing.T) {
	sec := parseProfile(t, profiles["of an engine, privileged"])
	if err := inject(sec, testRows); err != nil {
		t.Fatal(err)
	}
	masked := func(index uint, mask, value uint64) []specs.LinuxSeccompArg {
		return []specs.LinuxSeccompArg{{Index: index, Value: mask, ValueTwo: value, Op: specs.OpMaskedEqual}}
	}
	enosys := uint(unix.ENOSYS)
	want := []specs.LinuxSyscall{
		{Names: []string{"chown", "lstat"}, Action: specs.ActNotify, Args: []specs.LinuxSeccompArg{}},
		{Names: []string{"openat"}, Action: specs.ActNotify, Args: masked(2, 0x40, 0x40)},
		{Names: []string{"openat"}, Action: specs.ActNotify, Args: masked(2, 0x400040, 0x400000)},
		{Names: []string{"openat"}, Action: specs.ActAllow, Args: masked(2, 0x400040, 0)},
		{Names: []string{"mknod"}, Action: specs.ActNotify, Args: masked(1, 0o130000, 0o020000)},
		{Names: []string{"mknod"}, Action: specs.ActAllow, Args: masked(1, 0o100000, 0o100000)},
		{Names: []string{"mknod"}, Action: specs.ActAllow, Args: masked(1, 0o120000, 0)},
		{Names: []string{"mknod"}, Action: specs.ActAllow, Args: masked(1, 0o130000, 0o030000)},
		{Names: []string{"clone"}, Action: specs.ActNotify, Args: masked(0, unix.CLONE_NEWNS, unix.CLONE_NEWNS)},
		{Names: []string{"clone"}, Action: specs.ActAllow, Args: masked(0, unix.CLONE_NEWNS, 0)},
		{Names: []string{"io_uring_setup"}, Action: specs.ActErrno, ErrnoRet: &enosys, Args: []specs.LinuxSeccompArg{}},
	}
	for i := range max(len(want), len(sec.Syscalls)) {
		switch {
		case i >= len(want):
			t.Errorf("too much: %+v", sec.Syscalls[i])
		case i >= len(sec.Syscalls):
			t.Errorf("missing: %+v", want[i])
		case !reflect.DeepEqual(sec.Syscalls[i], want[i]):
			t.Errorf("rule %d:\n got %+v\nwant %+v", i, sec.Syscalls[i], want[i])
		}
	}
}

func TestInjectArchitectures(t *testing.T) {
	sec := &specs.LinuxSeccomp{DefaultAction: specs.ActAllow}
	if err := inject(sec, testRows); err != nil {
		t.Fatal(err)
	}
	if len(sec.Architectures) < 2 {
		t.Errorf("32-bit programs would be killed: %v", sec.Architectures)
	}
	sec = &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Architectures: []specs.Arch{specs.ArchX86_64}}
	if err := inject(sec, testRows); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(sec.Architectures, []specs.Arch{specs.ArchX86_64}) {
		t.Errorf("the user's choice became %v", sec.Architectures)
	}
}

func TestInjectErrors(t *testing.T) {
	for _, tt := range []struct{ name, profile, want string }{
		{"another agent's call", `{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mount"], "action": "SCMP_ACT_NOTIFY"}]}`,
			"notifies mount"},
		{"another agent's default", `{"defaultAction": "SCMP_ACT_NOTIFY"}`, "defaultAction SCMP_ACT_NOTIFY"},
		{"unknown operator", `{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["chown"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_FOO"}]}]}`,
			`unknown operator "SCMP_CMP_FOO"`},
		{"too complicated", `{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
			{"names": ["chown"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 1, "value": 5, "op": "SCMP_CMP_GT"}]},
			{"names": ["chown"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 1, "value": 2, "op": "SCMP_CMP_LT"}]}]}`,
			"denies chown under conditions"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := inject(parseProfile(t, tt.profile), testRows); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %v, want %q", err, tt.want)
			}
		})
	}
}

// inject applies an injection to a profile that specs-go can represent.
func inject(sec *specs.LinuxSeccomp, rows []syscalls.Row) error {
	e, err := injection(sec, rows)
	if err != nil {
		return err
	}
	syscalls := e.added
	for i, names := range e.kept {
		if len(names) > 0 {
			rule := sec.Syscalls[i]
			rule.Names = names
			syscalls = append(syscalls, rule)
		}
	}
	sec.Syscalls = syscalls
	sec.Architectures = e.architectures
	return nil
}
