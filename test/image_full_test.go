package test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// TestImageFullDisk fills the disk before commands that store 8 MiB once or twice: there is one clear
// error, and nothing half-made; when there is room, the same command works.
func TestImageFullDisk(t *testing.T) {
	base := buildBaseFile(t)
	dir := t.TempDir()
	random := make([]byte, 8<<20) // cannot be compressed
	rand.NewChaCha8([32]byte{}).Read(random)
	tag, err := name.NewTag("loaded")
	if err == nil {
		err = tarball.WriteToFile(filepath.Join(dir, "large.tar"), tag, imageOf(t, v1.Config{}, []entry{regular("large", string(random))}))
	}
	for name, content := range map[string]string{
		"random": string(random),
		"run":    "FROM localhost/base\nRUN dd if=/dev/urandom of=/r bs=1M count=8\n",
		"copy":   "FROM localhost/base\nCOPY random /r\nRUN touch /s\n",
	} {
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	const (
		copied  = "subuidless build -q -f copy . >out"
		changed = `subuidless run --name c -v "$PWD:/context" localhost/base cp /context/random /r`
		full    = "no space left on device: no space is left below /mnt"
	)
	for what, tt := range map[string]struct {
		prepare string
		left    int // MiB
		command string
		message string
	}{
		"RUN":              {":", 4, "build -q -t new -f run .", "No space left on device"}, // of the command
		"RUN, its archive": {":", 12, "build -q -t new -f run .", full},
		"RUN, by copy":     {":", 1, "build -q -t new --storage-driver=copy -f run .", full},
		"COPY":             {":", 4, "build -q -t new -f copy .", full},
		"COPY, unpacked":   {":", 12, "build -q -t new -f copy .", full},
		"squash":           {copied, 12, "build -q --squash -t new -f copy .", full},
		"output oci":       {copied, 4, "build -q -t new -o type=oci,dest=/mnt/out -f copy .", "/mnt/.out"},
		"output local":     {copied, 4, "build -q -t new -o /mnt/out -f copy .", full},
		"cache":            {copied, 4, "build -q -t new --cache-to type=local,dest=/mnt/cache -f copy .", "--cache-to: write /mnt/cache/.blob-"},
		"commit":           {changed, 4, "commit -q c new", full},
		"load":             {":", 4, "load -q -i large.tar", "/mnt/subuidless/tmp/"},
		"load, unpacked":   {":", 12, "load -q -i large.tar", full},
		"save":             {changed + " && subuidless commit -q c large >out", 4, "save -o /mnt/out large", "/mnt/.out"},
		"create":           {":", 0, "create --name new localhost/base true", "no space left on device"},
	} {
		t.Run(what, func(t *testing.T) {
			script := fmt.Sprintf(`set -eu
mount -t tmpfs -o size=128m tmpfs /mnt
mkdir /mnt/cache
cd "$1"
export HOME=/mnt/home XDG_DATA_HOME=/mnt
subuidless load -q -i "$2" >out
%s
seen() { subuidless images --format '{{.Repository}}:{{.Tag}} {{.ID}}'; subuidless ps -aq; ls -A /mnt /mnt/cache /mnt/subuidless/tmp | grep -Evx "[0-9a-f]{64}"; }
before=$(seen)
head -c $(($(df -k --output=avail /mnt | tail -n 1) * 1024 - %d)) /dev/zero >/mnt/filler
if subuidless %s 2>&1; then
	echo it succeeded
fi
subuidless store check >out
rm /mnt/filler
after=$(seen)
[ "$after" = "$before" ] || echo "before: $before; after: $after"
subuidless %[3]s >out
subuidless store check >out`, tt.prepare, tt.left<<20, tt.command)
			out, err := command(t, "unshare", "-rm", "sh", "-c", script, "sh", dir, base).CombinedOutput()
			if text := string(out); err != nil || !strings.HasPrefix(text, "subuidless: ") || strings.Count(text, "subuidless: ") != 1 || strings.Contains(text, "before: ") || !strings.Contains(text, tt.message) {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
