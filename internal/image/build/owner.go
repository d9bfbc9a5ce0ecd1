package build

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/image/build/files"
)

// maxDatabase is the size of the largest /etc/passwd or /etc/group that is read, in bytes.
const maxDatabase = 16 << 20

func readAll(f *os.File) ([]byte, error) { return io.ReadAll(io.LimitReader(f, maxDatabase)) }

// parseOwner parses USER[:GROUP]. Read returns the content of a file of the image.
func parseOwner(text string, read func(name string) ([]byte, error)) (*files.Owner, error) {
	user, group, hasGroup := strings.Cut(text, ":")
	o := new(files.Owner)
	id, isID, err := parseID(user)
	switch {
	case err != nil:
		return nil, err
	case isID:
		o.UID, o.GID = id, id
	case user == "" && group != "": // root, with another group
	default:
		fields, err := entry(read, "etc/passwd", user, 4)
		if err != nil {
			return nil, err
		}
		uid, ok1, err1 := parseID(fields[2])
		gid, ok2, err2 := parseID(fields[3])
		if !ok1 || !ok2 || err1 != nil || err2 != nil {
			return nil, fmt.Errorf("the entry of %s in /etc/passwd of the image has no valid ids", user)
		}
		o.UID, o.GID = uid, gid
	}
	if !hasGroup || group == "" {
		return o, nil
	}
	id, isID, err = parseID(group)
	switch {
	case err != nil:
		return nil, err
	case isID:
		o.GID = id
		return o, nil
	}
	fields, err := entry(read, "etc/group", group, 3)
	if err != nil {
		return nil, err
	}
	gid, ok, err := parseID(fields[2])
	if !ok || err != nil {
		return nil, fmt.Errorf("the entry of %s in /etc/group of the image has no valid id", group)
	}
	o.GID = gid
	return o, nil
}

// entry returns the fields, at least n, of the line for name in a database: passwd(5), group(5).
func entry(read func(string) ([]byte, error), database, name string, n int) ([]string, error) {
	content, err := read(database)
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return nil, err
	}
	for l := range bytes.Lines(content) {
		fields := strings.Split(strings.TrimRight(string(l), "\n"), ":")
		if fields[0] == name && len(fields) >= n {
			return fields, nil
		}
	}
	return nil, fmt.Errorf("/%s of the image has no %s", database, name)
}
