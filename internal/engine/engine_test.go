package engine

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMain(m *testing.M) {
	if os.Args[0] == ProbeName {
		os.Exit(ProbeMain())
	}
	if path := os.Getenv(listenVar); path != "" {
		if err := listen(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// The attempt leaves nothing behind, also where there is no such directory yet.
func TestOverlayWorks(t *testing.T) {
	dir := t.TempDir()
	works := overlayWorks(dir)
	t.Logf("overlay works: %v", works)
	if again := overlayWorks(filepath.Join(dir, "a", "b")); again != works {
		t.Errorf("in a directory to be created: %v", again)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
	if overlayWorks("/proc/nonexistent") {
		t.Error("overlay works in /proc")
	}
}

func TestEnvironment(t *testing.T) {
	got := environment([]string{"A=1", "_CONTAINERS_ROOTLESS_UID=7", "_CONTAINERS_ROOTLESS_UIDX=8"}, 12, 34)
	want := []string{"A=1", "_CONTAINERS_ROOTLESS_UIDX=8", "_CONTAINERS_USERNS_CONFIGURED=done", "_CONTAINERS_ROOTLESS_UID=12", "_CONTAINERS_ROOTLESS_GID=34"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestSubordinateIDs(t *testing.T) {
	for _, tt := range []struct {
		user string // the variable USER
		want []string
	}{
		{"", []string{"4000000000", "root"}},
		{"me", []string{"me", "4000000000", "root"}},
		{"root", []string{"root", "4000000000"}},
		{"a:1:1\nb", []string{"4000000000", "root"}},
	} {
		got := userNames(func(string) string { return tt.user }, 4000000000)
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%q: %s", tt.user, diff)
		}
	}
	if got, want := subordinateIDs([]string{"me", "root"}), "me:1:4294967294\nroot:1:4294967294\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestChoosesServer(t *testing.T) {
	for _, tt := range []struct {
		args string
		env  map[string]string
		want bool
	}{
		{"ps", nil, false},
		{"run -H host image", nil, false}, // the hostname of a container
		{"-H tcp://host ps", nil, true},
		{"--host=tcp://host ps", nil, true},
		{"--debug -c other ps", nil, true},
		{"", nil, false},
		{"ps", map[string]string{"DOCKER_HOST": "tcp://host"}, true},
		{"ps", map[string]string{"DOCKER_CONTEXT": "other"}, true},
	} {
		if got := choosesServer(strings.Fields(tt.args), func(name string) string { return tt.env[name] }); got != tt.want {
			t.Errorf("%q with %v: %v", tt.args, tt.env, got)
		}
	}
}

// user is a home directory with files of containers.
func user(t *testing.T, files map[string]string) (home string, getenv func(string) string) {
	t.Helper()
	home = t.TempDir()
	for name, text := range files {
		path := filepath.Join(home, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	defer func(files []string) { t.Cleanup(func() { storageFiles = files }) }(storageFiles)
	storageFiles = []string{filepath.Join(home, "etc.conf"), filepath.Join(home, "usr.conf")}
	return home, func(name string) string { return map[string]string{"HOME": home}[name] }
}

func TestChooseDriver(t *testing.T) {
	const (
		conf  = ".config/containers/storage.conf"
		store = ".local/share/containers/storage/"
	)
	for _, tt := range []struct {
		name    string
		files   map[string]string
		works   bool // overlay
		driver  string
		notice  string // a part; empty: none
		root    string // below the home directory; empty: the default
		require string // the driver of the configuration file
	}{
		{name: "new, overlay works", works: true, driver: overlay},
		{name: "new, overlay does not work"},
		{name: "has overlay", files: map[string]string{store + "overlay-images/x": ""}, driver: overlay},
		{name: "has vfs", files: map[string]string{store + "vfs-images/x": ""}, works: true, driver: vfs, notice: "podman system reset"},
		{name: "has both, podman chose vfs", files: map[string]string{
			store + "vfs-images/x": "", store + "overlay-images/x": "", store + "libpod/bolt_state.db": "\x00graph-driver-namevfsgraph-root/x",
		}, driver: vfs, notice: "podman system reset"},
		{name: "has both, podman chose overlay", files: map[string]string{
			store + "vfs-images/x": "", store + "overlay-images/x": "", store + "libpod/bolt_state.db": "\x00graph-driver-nameoverlaygraph-root/x",
		}, driver: overlay},
		{name: "configured vfs", files: map[string]string{conf: "[storage]\ndriver = \"vfs\"\n"}, works: true, require: vfs},
		{name: "configured by the administrator", files: map[string]string{"usr.conf": "[storage]\ndriver = \"btrfs\"\ngraphroot = \"/root-s\"\n"}, require: "btrfs"},
		{name: "configured by both", files: map[string]string{conf: "[storage]\ndriver = \"vfs\"\n", "etc.conf": "[storage]\ndriver = \"btrfs\"\n"}, require: vfs},
		{name: "mount program", files: map[string]string{conf: "[storage]\ndriver = \"overlay\"\n[storage.options.overlay]\nmount_program = \"/usr/bin/fuse-overlayfs\"\n"},
			require: overlay},
		{name: "mount program only", files: map[string]string{conf: "[storage.options.overlay]\nmount_program = \"/usr/bin/fuse-overlayfs\"\n"}, driver: overlay},
		{name: "another root", files: map[string]string{conf: "[storage]\ngraphroot = \"$HOME/images\"\n", "images/vfs-images/x": ""},
			root: "images", driver: vfs, notice: "images use the storage driver vfs"},
		{name: "another root for users", files: map[string]string{"etc.conf": "[storage]\nrootless_storage_path = \"$HOME/images\"\n"}, root: "images", works: true, driver: overlay},
	} {
		home, getenv := user(t, tt.files)
		s, err := findStorage(getenv)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		root := filepath.Join(home, store)
		if tt.root != "" {
			root = filepath.Join(home, tt.root)
		}
		if s.root != root || s.driver != tt.require {
			t.Errorf("%s: root %q and driver %q, want %q and %q", tt.name, s.root, s.driver, root, tt.require)
		}
		driver, notice := s.chooseDriver(func(dir string) bool { return tt.works })
		if driver != tt.driver || (notice == "") != (tt.notice == "") || !strings.Contains(notice, tt.notice) {
			t.Errorf("%s: driver %q, notice %q", tt.name, driver, notice)
		}
	}
}

func TestMalformedStorageConf(t *testing.T) {
	_, getenv := user(t, map[string]string{".config/containers/storage.conf": "[storage\n"})
	if _, err := findStorage(getenv); err == nil || !strings.Contains(err.Error(), "storage.conf: ") {
		t.Errorf("the error is %v", err)
	}
}
