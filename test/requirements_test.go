package test

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

// part is something that a test may need and a machine may lack.
type part struct {
	here func() bool
	how  string // how to get it
}

var parts = map[string]part{
	"busybox":     {program("busybox"), "apt-get install busybox-static"},
	"cc":          {file("testdata/programs/chown"), "apt-get install gcc libc6-dev"},
	"cc32":        {file("testdata/programs/ids_i386"), "apt-get install gcc-multilib"},
	"crun":        {crun, "apt-get install crun; where cgroups are hybrid, also run the tests as root"},
	"debian":      {file("debian12.tar"), "sudo test/prepare, and SUBUIDLESS_CACHE if it was for another user"},
	"debootstrap": {program("debootstrap"), "apt-get install debootstrap"},
	"getfacl":     {program("getfacl"), "apt-get install acl"},
	"getfattr":    {program("getfattr"), "apt-get install attr"},
	"mmdebstrap":  {program("mmdebstrap"), "apt-get install mmdebstrap"},
	"python3":     {program("python3"), "apt-get install python3"},
	"ramfs":       {file("ramfs"), "run the tests as root"},
	"repository":  {file("repository"), "sudo test/prepare, and SUBUIDLESS_CACHE if it was for another user"},
	"root":        {file("answers"), "run the tests as root"},
	"rsync":       {program("rsync"), "apt-get install rsync"},
	"runc":        {program("runc"), "apt-get install runc"},
	"services":    {file(servicesTar), "sudo test/prepare, and SUBUIDLESS_CACHE if it was for another user"},
	"setcap":      {program("setcap"), "apt-get install libcap2-bin"},
	"small":       {file("small"), "run the tests as root"},
	"suites":      {file(suitesTar), "sudo test/prepare, and SUBUIDLESS_CACHE if it was for another user"},
	"umoci":       {program("umoci"), "apt-get install umoci"},
}

func program(name string) func() bool {
	return func() bool { _, err := exec.LookPath(name); return err == nil }
}

func file(name string) func() bool {
	return func() bool { _, err := os.Stat(work(name)); return err == nil }
}

// crun tells whether crun can work: version 1.8 refuses hybrid cgroups, which
// the tests hide if they are run as root.
func crun() bool {
	var fs unix.Statfs_t
	hybrid := unix.Statfs(unifiedCgroup, &fs) == nil && fs.Type == unix.CGROUP2_SUPER_MAGIC
	return !hybrid && program("crun")()
}

// lacking says which of the named parts is not here, and how to get it.
func lacking(names ...string) (reason string, lacks bool) {
	for _, name := range names {
		p, known := parts[name]
		if !known {
			return fmt.Sprintf("no part is called %s", name), true
		}
		if !p.here() {
			return fmt.Sprintf("%s is missing: %s", name, p.how), true
		}
	}
	return "", false
}

// needs skips a test that lacks a part.
func needs(t *testing.T, names ...string) {
	t.Helper()
	if reason, lacks := lacking(names...); lacks {
		t.Skip(reason)
	}
}

func TestParts(t *testing.T) {
	for name, p := range parts {
		t.Run(name, func(t *testing.T) {
			if !p.here() {
				t.Skipf("%s is missing: %s", name, p.how)
			}
		})
	}
}
