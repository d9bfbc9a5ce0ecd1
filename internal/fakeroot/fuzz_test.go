package fakeroot

import (
	"fmt"
	"testing"
)

// FuzzState parses lines of state files. What is written means the same.
func FuzzState(f *testing.F) {
	f.Add("dev=fe00,ino=12,mode=100644,uid=1,gid=2,nlink=1,rdev=0\n")
	f.Add("dev=0,ino=0,mode=20600,uid=4294967295,gid=0,nlink=18446744073709551615,rdev=259\n")
	f.Fuzz(func(t *testing.T, line string) {
		s, err := parseLine(line)
		if err != nil {
			return
		}
		text := fmt.Sprintf(lineFormat, s.Dev, s.Ino, s.Mode, s.UID, s.GID, s.Nlink, s.Rdev)
		if again, err := parseLine(text); err != nil || again != s {
			t.Errorf("%q: %+v, then %+v (%v)", line, s, again, err)
		}
	})
}
