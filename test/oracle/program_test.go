package main

import (
	"testing"
)

// A generated program must be the same after it is written and parsed, and whenever it is
// generated.
func TestGenerated(t *testing.T) {
	for seed := range uint64(2000) {
		p := generate(seed, nil)
		if again := generate(seed, nil); again.String() != p.String() {
			t.Fatalf("seed %d gave two different programs:\n%s\nand\n%s", seed, p, again)
		}
		q, err := parse(p.String())
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, p)
		}
		if q.String() != p.String() {
			t.Errorf("seed %d: written as\n%s\nand read as\n%s", seed, p, q)
		}
		if _, err := encode(p, 1, 1); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
	}
}

// With all features every call must appear; without a feature, none of its calls.
func TestFeatures(t *testing.T) {
	seen := make(map[string]bool)
	for seed := range uint64(5000) {
		for _, o := range generate(seed, nil).Ops {
			seen[o.Call.name] = true
		}
	}
	for _, c := range calls {
		if !seen[c.name] {
			t.Errorf("%s is never called", c.name)
		}
	}
	without := make(map[string]bool)
	for _, f := range features {
		without[f] = true
	}
	for seed := range uint64(1000) {
		for _, o := range generate(seed, without).Ops {
			if o.Call.feature != "" {
				t.Fatalf("seed %d calls %s without %s", seed, o.Call.name, o.Call.feature)
			}
		}
	}
}

func TestParseErrors(t *testing.T) {
	for _, line := range []string{"1", "1 nothing", "9 getuid", "x getuid", "1 getuid 3", `1 chdir "a`, `1 dup 3 -> x1`, "1 dup 3 -> f64"} {
		if _, err := parse(line); err == nil {
			t.Errorf("%s: no error", line)
		}
	}
	for _, line := range []string{"1 chdir a", "1 fchdir O_NOTHING", "1 kill 2 0", `1 setxattr "a" "b" acl(u:x:7) 0`, "1 setgroups 3", `1 setxattr "a" "b" cap(1:CAP_NO:none) 0`} {
		p, err := parse(line)
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		if _, err := encode(p, 1, 1); err == nil {
			t.Errorf("%s: no error", line)
		}
	}
}

// Seed 8008087 on ext4: a file without a name, of which the path shows the inode number.
func TestHideUnnamed(t *testing.T) {
	for _, tt := range []struct{ result, want string }{
		{`20 "/w/#772166 (deleted)"`, `"/w/#"`},
		{`8 "/w/#7721"`, `"/w/#"`},
		{`4 "/w/#"`, `4 "/w/#"`},
		{`6 "/w/a#1"`, `6 "/w/a#1"`},
		{"ENOENT", "ENOENT"},
	} {
		if got := hideUnnamed(tt.result); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.result, got, tt.want)
		}
	}
}
