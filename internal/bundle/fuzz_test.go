package bundle

import (
	"bytes"
	"testing"
)

// FuzzRewrite adapts the config.json of a bundle, and once more: then nothing changes.
func FuzzRewrite(f *testing.F) {
	text, err := Default()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"process":{"user":{"uid":1,"gid":2}},"linux":{"seccomp":{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["chown"],"action":"SCMP_ACT_ALLOW","args":[{"index":1,"value":0,"op":"SCMP_CMP_EQ"}]}]}}}`))
	f.Add([]byte(`{"process":{},"root":{"path":"r"},"mounts":[{"destination":"/sys","type":"sysfs"}],"linux":{"namespaces":[{"type":"user"}],"uidMappings":[]}}`))
	f.Fuzz(func(t *testing.T, config []byte) {
		once, err := Rewrite(config, testOptions, testRows)
		if err != nil {
			return
		}
		if twice, err := Rewrite(once, testOptions, testRows); err != nil || !bytes.Equal(once, twice) {
			t.Errorf("%s, then\n%s (%v)", once, twice, err)
		}
	})
}
