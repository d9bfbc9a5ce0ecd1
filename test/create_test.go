package test

import (
	"os"
	"path/filepath"
	"testing"
)

// TestWorkerKilledWhileOthersCreate repeatedly kills the worker while a non-root
// user unpacks an archive. With --keep-old-files, tar fails if a file already
// exists, so it must not see EEXIST for a file that a dead worker created for it.
func TestWorkerKilledWhileOthersCreate(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil { // the user must be able to search it
		t.Fatal(err)
	}
	want := unpackWithKills(t, 20, "sh", "-ec",
		`chmod 777 "$1"; exec setpriv --reuid 1000 --regid 1001 --clear-groups tar -C "$1" --keep-old-files --no-same-owner -xf -`, "sh", dir)
	for name := range want {
		want[name] = "1000:1001"
	}
	want.compare(t, ownersBelow(t, dir))
}
