package launch

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/sys/user"
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/cred"
	"github.com/rootless-containers/subuidless/internal/identity"
)

// account is the user that a container's command runs as.
type account struct {
	UID            int
	GID            int
	AdditionalGids []int
	Home           string
	Without        cred.Caps // see identity.User
}

// accountOf returns the account of a user, or nil. It has no home directory.
func accountOf(u *identity.User) *account {
	if u == nil {
		return nil
	}
	a := &account{UID: int(u.UID), GID: int(u.GID), Without: u.Without}
	for _, gid := range u.AdditionalGids {
		a.AdditionalGids = append(a.AdditionalGids, int(gid))
	}
	return a
}

// user returns a in the form that the supervisor uses.
func (a *account) user() *identity.User {
	u := &identity.User{UID: uint32(a.UID), GID: uint32(a.GID), Without: a.Without}
	for _, gid := range a.AdditionalGids {
		u.AdditionalGids = append(u.AdditionalGids, uint32(gid))
	}
	return u
}

// String returns the ids of a separated by colons, as applyUser parses them: the uid, the
// gid, and the additional groups. It returns "" for nil.
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

// applyUser prepares this process to execute the command as the user in text, which
// account.String made. It changes the owner of the standard streams to that user and, if
// become is set, switches to it; otherwise, the supervisor does. An empty text means that
// the user does not change.
func applyUser(text string, become bool) error {
	if text == "" {
		return nil
	}
	var ids []int
	for field := range strings.SplitSeq(text, ":") {
		id, err := strconv.Atoi(field)
		if err != nil {
			return fmt.Errorf("%q is not a list of ids: %w", text, err)
		}
		ids = append(ids, id)
	}
	if len(ids) < 2 {
		return fmt.Errorf("%q is not a list of ids", text)
	}
	if ids[0] != 0 {
		chownStreams(ids[0])
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

// chownStreams changes the owner of the standard streams to uid, as OCI runtimes do, so that
// the command can open /dev/stdout. It skips regular files that are open read-only, and
// devices of the host.
func chownStreams(uid int) {
	var terminals unix.Stat_t
	ownTerminals := unix.Stat("/dev/pts", &terminals) == nil
	for fd := range 3 {
		var st unix.Stat_t
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
		if err != nil || unix.Fstat(fd, &st) != nil {
			continue // closed
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
		// On failure, the stream stays usable through the open descriptor.
		_ = unix.Fchown(fd, uid, -1)
	}
}

// lookUpUser resolves spec, NAME|UID[:GROUP|:GID], in /etc/passwd and /etc/group of the
// rootfs. An empty spec means root. Groups are further groups, names or ids.
func lookUpUser(rootfs tree, spec string, groups []string) (account, error) {
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
		return account{}, fmt.Errorf("user %q: %w (looked up in /etc/passwd and /etc/group of rootfs %s)", spec, err, rootfs.name)
	}
	for _, text := range groups {
		gid, err := lookUpGroup(rootfs, text)
		if err != nil {
			return account{}, fmt.Errorf("group %q: %w (looked up in /etc/group of rootfs %s)", text, err, rootfs.name)
		}
		if !slices.Contains(id.AdditionalGids, gid) {
			id.AdditionalGids = append(id.AdditionalGids, gid)
		}
	}
	return id, nil
}

// lookUpGroup returns the id of a group, a name in /etc/group of the rootfs or an id.
func lookUpGroup(rootfs tree, text string) (int, error) {
	if n, err := strconv.ParseUint(text, 10, 32); err == nil && n != math.MaxUint32 { // package user refuses those above 2^31-1
		return int(n), nil
	}
	group, err := openDatabase(rootfs, "etc/group")
	if err != nil {
		return 0, err
	}
	defer group.Close()
	ids, err := user.GetAdditionalGroups([]string{text}, group)
	if err != nil {
		return 0, err
	}
	return ids[0], nil
}

// Home returns the home directory of a user id, looked up in /etc/passwd of the rootfs. It is
// "/" if it is not there.
func Home(rootfs string, uid uint32) string {
	a, err := lookUpUser(directoryTree(rootfs), strconv.FormatUint(uint64(uid), 10), nil)
	if err != nil {
		return "/"
	}
	return a.Home
}

func resolveUser(spec string, passwd, group io.Reader) (account, error) {
	u, err := user.GetExecUser(spec, nil, passwd, group)
	if errors.Is(err, user.ErrRange) {
		u, err = largeIDs(spec)
	}
	if err != nil {
		return account{}, err
	}
	for _, id := range append([]int{u.Uid, u.Gid}, u.Sgids...) {
		if id < 0 || id >= math.MaxUint32 { // package user takes what the databases say
			return account{}, fmt.Errorf("%d is not a valid id: %w", id, user.ErrRange)
		}
	}
	home := u.Home
	switch {
	case home != "":
	case u.Uid == 0: // a rootfs without /etc/passwd has a root, too
		home = "/root"
	default:
		home = "/"
	}
	return account{UID: u.Uid, GID: u.Gid, AdditionalGids: u.Sgids, Home: home}, nil
}

// largeIDs parses spec, UID[:GID], with ids that package user refuses: those above 2^31-1. No
// names belong to them.
func largeIDs(spec string) (*user.ExecUser, error) {
	uid, gid, _ := strings.Cut(spec, ":")
	u := new(user.ExecUser)
	for _, id := range []struct {
		text string
		to   *int
	}{{uid, &u.Uid}, {gid, &u.Gid}} {
		n, err := strconv.ParseUint(cmp.Or(id.text, "0"), 10, 32)
		if err != nil || n == math.MaxUint32 {
			return nil, fmt.Errorf("%q is not a valid id: %w", id.text, user.ErrRange)
		}
		*id.to = int(n)
	}
	return u, nil
}

// openDatabase opens a file of the rootfs. A file that does not exist reads as empty.
func openDatabase(rootfs tree, name string) (io.ReadCloser, error) {
	f, err := rootfs.open(name, unix.O_RDONLY|unix.O_NONBLOCK)
	if errors.Is(err, unix.ENOENT) {
		return io.NopCloser(strings.NewReader("")), nil
	}
	if err != nil {
		return nil, err
	}
	return f, nil
}
