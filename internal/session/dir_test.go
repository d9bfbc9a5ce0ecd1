package session

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"
)

// A record that is cut off, or from another boot, is none: its session is dead, others are listed, and
// no process is taken for one of it.
func TestDamagedRecord(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	s, err := openSessions()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	boot, err := currentBoot()
	if err != nil {
		t.Fatal(err)
	}
	// Not with writeRecord, which makes this process the witness.
	whole, err := json.Marshal(record{12345, boot})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"damaged", "other"} {
		if err := os.Mkdir(s.dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(s.recordPath(name), whole, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	contents := [][]byte{make([]byte, len(whole)), bytes.Replace(whole, []byte(boot), []byte("another"), 1), []byte(`{"UserNS":12345}`)}
	for n := range len(whole) + 1 {
		contents = append(contents, whole[:n])
	}
	for _, content := range contents {
		if err := os.WriteFile(s.recordPath("damaged"), content, 0o600); err != nil {
			t.Fatal(err)
		}
		r, ok, err := s.readRecord("damaged")
		if complete := bytes.Equal(content, whole); ok != complete || complete && (r.UserNS != 12345 || err != nil) {
			t.Errorf("%q: %+v, %v, %v", content, r, ok, err)
		}
		for _, name := range []string{"damaged", "other"} {
			if info, err := s.info(name); err != nil || info.Processes != 0 || info.Keeper != 0 {
				t.Errorf("%q: session %s: %+v, %v", content, name, info, err)
			}
		}
	}
}
