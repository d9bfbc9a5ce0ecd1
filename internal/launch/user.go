package launch

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/moby/sys/user"
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/identity"
)

// account is the user that the command runs as.
type account struct {
	UID            int
	GID            int
	AdditionalGids []int
	Home           string
}

// user is the account as the supervisor wants it.
func (a *account) user() *identity.User {
	u := &identity.User{UID: uint32(a.UID), GID: uint32(a.GID)}
	for _, gid := range a.AdditionalGids {
		u.AdditionalGids = append(u.AdditionalGids, uint32(gid))
	}
	return u
}

// String returns the ids of a, separated by colons, for handOverTo. Nil is nobody.
func (a *account) String() string {
	if a == nil {
		return ""
	}
	ids := []string{strconv.Itoa(a.UID), strconv.Itoa(a.GID)}
	for _, gid := range a.AdditionalGids {
		ids = append(ids, strconv.Itoa(gid))
	}
	return strings.Join(ids, ":")
}

// handOverTo gives the standard streams to the account with the ids in text, and makes this
// process that account if become is set: else its supervisor does. An empty text is nobody.
func handOverTo(text string, become bool) error {
	if text == "" {
		return nil
	}
	var ids []int
	for field := range strings.SplitSeq(text, ":") {
		id, err := strconv.Atoi(field)
		if err != nil {
			return fmt.Errorf("%q is no list of ids: %w", text, err)
		}
		ids = append(ids, id)
	}
	if len(ids) < 2 {
		return fmt.Errorf("%q is no list of ids", text)
	}
	if ids[0] != 0 {
		giveStreams(ids[0])
	}
	if !become {
		return nil
	}
	if err := unix.Setgroups(ids[2:]); err != nil {
		return fmt.Errorf("setgroups: %w", err)
	}
	if err := unix.Setresgid(ids[1], ids[1], ids[1]); err != nil {
		return fmt.Errorf("setresgid(%d): %w", ids[1], err)
	}
	if err := unix.Setresuid(ids[0], ids[0], ids[0]); err != nil {
		return fmt.Errorf("setresuid(%d): %w", ids[0], err)
	}
	return nil
}

// giveStreams makes the standard streams belong to uid, as OCI runtimes do, so that the
// command can open /dev/stdout. Not files that are only read, and not the host's devices.
func giveStreams(uid int) {
	var terminals unix.Stat_t
	ownTerminals := unix.Stat("/dev/pts", &terminals) == nil
	for fd := range 3 {
		var st unix.Stat_t
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
		if err != nil || unix.Fstat(fd, &st) != nil {
			continue // it is closed
		}
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFREG:
			if flags&unix.O_ACCMODE == unix.O_RDONLY {
				continue
			}
		case unix.S_IFCHR:
			if !ownTerminals || st.Dev != terminals.Dev {
				continue
			}
		}
		// What cannot be given away stays usable as it is open.
		_ = unix.Fchown(fd, uid, -1)
	}
}

// lookUpUser resolves spec, NAME|UID[:GROUP|:GID], against the rootfs's
// /etc/passwd and /etc/group. An empty spec is root.
func lookUpUser(rootfs, spec string) (account, error) {
	passwd, err := openDatabase(rootfs, "etc/passwd")
	if err != nil {
		return account{}, err
	}
	defer passwd.Close()
	group, err := openDatabase(rootfs, "etc/group")
	if err != nil {
		return account{}, err
	}
	defer group.Close()
	id, err := resolveUser(spec, passwd, group)
	if err != nil {
		return account{}, fmt.Errorf("user %q: %w (looked up in /etc/passwd and /etc/group of rootfs %s)", spec, err, rootfs)
	}
	return id, nil
}

func resolveUser(spec string, passwd, group io.Reader) (account, error) {
	u, err := user.GetExecUser(spec, nil, passwd, group)
	if err != nil {
		return account{}, err
	}
	home := u.Home
	switch {
	case home != "":
	case u.Uid == 0: // even a rootfs without /etc/passwd has a root
		home = "/root"
	default:
		home = "/"
	}
	return account{UID: u.Uid, GID: u.Gid, AdditionalGids: u.Sgids, Home: home}, nil
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
