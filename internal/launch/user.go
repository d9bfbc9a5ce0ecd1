package launch

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/moby/sys/user"
	"golang.org/x/sys/unix"
)

// identity is the user that the command runs as.
type identity struct {
	UID            int
	GID            int
	AdditionalGids []int
	Home           string
}

// lookUpUser resolves spec, NAME|UID[:GROUP|:GID], against the rootfs's
// /etc/passwd and /etc/group. An empty spec is root.
func lookUpUser(rootfs, spec string) (identity, error) {
	passwd, err := openDatabase(rootfs, "etc/passwd")
	if err != nil {
		return identity{}, err
	}
	defer passwd.Close()
	group, err := openDatabase(rootfs, "etc/group")
	if err != nil {
		return identity{}, err
	}
	defer group.Close()
	id, err := resolveUser(spec, passwd, group)
	if err != nil {
		return identity{}, fmt.Errorf("user %q: %w (looked up in /etc/passwd and /etc/group of rootfs %s)", spec, err, rootfs)
	}
	if id.UID != 0 || id.GID != 0 {
		return identity{}, fmt.Errorf("user %q: it is %d:%d in the rootfs, and this version of subuidless starts commands as root (0:0) only", spec, id.UID, id.GID)
	}
	return id, nil
}

func resolveUser(spec string, passwd, group io.Reader) (identity, error) {
	// Even a rootfs without /etc/passwd has a root.
	u, err := user.GetExecUser(spec, &user.ExecUser{Home: "/root"}, passwd, group)
	if err != nil {
		return identity{}, err
	}
	home := u.Home
	if home == "" {
		home = "/"
	}
	return identity{UID: u.Uid, GID: u.Gid, AdditionalGids: u.Sgids, Home: home}, nil
}

// openDatabase opens a file of the rootfs; one that is not there is empty.
func openDatabase(rootfs, name string) (io.ReadCloser, error) {
	f, err := openInRootfs(rootfs, name, unix.O_RDONLY|unix.O_NONBLOCK)
	if errors.Is(err, unix.ENOENT) {
		return io.NopCloser(strings.NewReader("")), nil
	}
	if err != nil {
		return nil, err
	}
	return f, nil
}
