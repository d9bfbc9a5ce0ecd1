package launch

import (
	"bytes"
	"math"
	"testing"
)

// FuzzUser looks a user up in the databases of a container.
func FuzzUser(f *testing.F) {
	f.Add("www-data", []byte("root:x:0:0::/root:/bin/sh\nwww-data:x:33:33::/var/www:\n"), []byte("adm:x:4:www-data,root\n"))
	f.Add("7:adm", []byte(""), []byte("adm:x:4:\n"))
	f.Add("4294967294:4294967294", []byte("a"), []byte(":::::::\n"))
	f.Add("", []byte("root:x:-1:99999999999::\n"), []byte("\n\n"))
	f.Fuzz(func(t *testing.T, spec string, passwd, group []byte) {
		a, err := resolveUser(spec, bytes.NewReader(passwd), bytes.NewReader(group))
		if err != nil {
			return
		}
		for _, id := range append([]int{a.UID, a.GID}, a.AdditionalGids...) {
			if id < 0 || id >= math.MaxUint32 {
				t.Errorf("user %q has the id %d\n%s\n%s", spec, id, passwd, group)
			}
		}
		if a.Home == "" {
			t.Errorf("user %q has no home", spec)
		}
	})
}
