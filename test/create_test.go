package test

import (
	"os"
	"path/filepath"
	"testing"
)

// TestWorkerKilledWhileOthersCreate kills the worker again and again while a user
// who is not root unpacks an archive. With --keep-old-files tar fails where a file
// exists, so it must not be told of a file that a dead worker has made for it.
func TestWorkerKilledWhileOthersCreate(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil { // for the user
		t.Fatal(err)
	}
	want := unpackWithKills(t, 20, "sh", "-ec",
		`chmod 777 "$1"; exec setpriv --reuid 1000 --regid 1001 --clear-groups tar -C "$1" --keep-old-files --no-same-owner -xf -`, "sh", dir)
	for name := range want {
		want[name] = "1000:1001"
	}
	want.compare(t, ownersBelow(t, dir))
}
